"""Processor time and memory of a contestant's processes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

import psutil
import torch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

MIB = 1024 * 1024
SAMPLE_EVERY_S = 0.05
# Reading a large process's memory map takes milliseconds; sampling may take this share of one core at most.
MOST_SAMPLING_SHARE = 0.02


def memory_kind() -> str:
    """Return which memory is measured: `pss` where the system tells it (shared pages count once), else `rss`."""
    return "pss" if hasattr(psutil.Process().memory_full_info(), "pss") else "rss"


def memory_mib(processes: Sequence[psutil.Process]) -> float:
    """Memory of `processes` together, MiB; one that has ended counts nothing."""
    total = 0
    for process in processes:
        try:
            info = process.memory_full_info()
        except psutil.NoSuchProcess:
            continue
        total += getattr(info, "pss", 0) or info.rss
    return total / MIB


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """User and system time of `processes` so far, seconds."""
    total = 0.0
    for process in processes:
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
    return total


class Usage:
    """Context manager that watches this process, or the processes `pids` in its place for memory.

    `cpu_s` counts this process and `pids` together: who hands work to other processes works too. What other processes
    take of a GPU is unknown here, and `gpu_peak_mib` is None.
    """

    def __init__(self, pids: Sequence[int] = ()) -> None:
        others = [psutil.Process(pid) for pid in pids]
        self._working = [psutil.Process(), *others]
        self._holding = others or [psutil.Process()]
        self._in_this_process = not others
        self.before_mib = 0.0
        self.peak_mib = 0.0
        self.gpu_peak_mib: float | None = None
        self.cpu_s = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="harness-usage", daemon=True)

    def __enter__(self) -> Self:
        self.before_mib = self.peak_mib = memory_mib(self._holding)
        self._cpu_before = cpu_seconds(self._working)
        if torch.cuda.is_available():
            torch.cuda.reset_peak_memory_stats()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu_s = cpu_seconds(self._working) - self._cpu_before
        self._stop.set()
        self._thread.join()
        self.peak_mib = max(self.peak_mib, memory_mib(self._holding))
        if torch.cuda.is_available() and self._in_this_process:
            self.gpu_peak_mib = torch.cuda.max_memory_allocated() / MIB

    def _sample(self) -> None:
        pause = SAMPLE_EVERY_S
        while not self._stop.wait(pause):
            began = time.perf_counter()
            self.peak_mib = max(self.peak_mib, memory_mib(self._holding))
            pause = max(SAMPLE_EVERY_S, (time.perf_counter() - began) / MOST_SAMPLING_SHARE)
