"""The control: two kernels that no revision can touch, timed in each process beside the revision's own work."""

from __future__ import annotations

import time

import torch

MEMORY, ARITHMETIC = "memory", "arithmetic"
# Larger than most caches, small enough for two processes.
READ_ELEMENTS = 32 * 2**20
READS = 2
MATRIX = 384
PRODUCTS = 12


class ControlKernels:
    """Holds what the kernels work on; `time_both` runs them."""

    def __init__(self) -> None:
        self._block = torch.ones(READ_ELEMENTS)
        self._matrix = torch.ones(MATRIX, MATRIX)
        self._product = torch.empty(MATRIX, MATRIX)

    def time_both(self) -> dict[str, float]:
        """Return the seconds of the memory-bound and of the arithmetic-bound kernel."""
        began = time.perf_counter()
        for _ in range(READS):
            self._block.sum()
        read = time.perf_counter()
        for _ in range(PRODUCTS):
            torch.mm(self._matrix, self._matrix, out=self._product)
        return {MEMORY: read - began, ARITHMETIC: time.perf_counter() - read}
