"""Sample this process's resident memory while a cell runs."""

from __future__ import annotations

import ctypes
import gc
import sys
import threading
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from types import TracebackType

MIB = 1024 * 1024
SAMPLE_EVERY_S = 0.01
_M_ARENA_MAX = -8  # malloc.h


def resident_mib() -> float:
    """Resident memory of this process now, MiB."""
    return float(psutil.Process().memory_info().rss) / MIB


def release_free_memory() -> None:
    """Give what nobody uses back to the system, so that one cell does not pay for the one before.

    Every thread gets a heap of its own from glibc, which keeps what was freed; other systems lack the call.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)


def share_one_heap() -> bool:
    """Let all threads of this process allocate from one heap, and tell whether they will; to be called first of all.

    glibc gives threads up to eight heaps per core. Each keeps the pages on which anything is left, so that resident
    memory wanders with which thread got which heap, by far more than a leak of interest. On one heap, what was freed
    is used again, and resident memory shows what is held. Other systems lack the call.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and bool(mallopt(_M_ARENA_MAX, 1))


class PeakMemory:
    """Context manager: `before_mib` on entry, `peak_mib` as the highest sample until exit."""

    def __init__(self) -> None:
        self.before_mib = 0.0
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, name="harness-memory", daemon=True)

    def __enter__(self) -> Self:
        self.before_mib = self.peak_mib = resident_mib()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.peak_mib = max(self.peak_mib, resident_mib())

    def _sample(self) -> None:
        process = psutil.Process()
        while not self._stop.wait(SAMPLE_EVERY_S):
            self.peak_mib = max(self.peak_mib, float(process.memory_info().rss) / MIB)
