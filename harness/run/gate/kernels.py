"""The control: two kernels that no revision can touch, timed in each process beside the revision's own work."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

MEMORY, ARITHMETIC = "memory", "arithmetic"
# Larger than most caches, small enough for two processes.
READ_ELEMENTS = 32 * 2**20
READS = 15
MATRIX = 384
PRODUCTS = 12


class ControlKernels:
    """Holds what the kernels work on; `time_both` runs them."""

    def __init__(self) -> None:
        self._block = torch.ones(READ_ELEMENTS)
        self._matrix = torch.ones(MATRIX, MATRIX)
        self._product = torch.empty(MATRIX, MATRIX)

    def time_both(self) -> dict[str, float]:
        """Return the seconds of one memory-bound and of one arithmetic-bound kernel: the median of several."""
        return {
            MEMORY: _median_s(READS, self._block.sum),
            ARITHMETIC: _median_s(PRODUCTS, lambda: torch.mm(self._matrix, self._matrix, out=self._product)),
        }


def _median_s(times: int, work: Callable[[], object]) -> float:
    """Return the median, which one interruption of a few milliseconds does not move."""
    found = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        found.append(time.perf_counter() - began)
    return statistics.median(found)
