"""What this machine can do at best: read memory, multiply matrices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch

from harness.run.bench.records import LimitMeasurement

if TYPE_CHECKING:
    from collections.abc import Callable

GIGA = 1e9
# Far larger than any cache, or caches would be measured.
READ_BYTES = 2**30
REPEATS = 5
MATRIX = 2048


def measure_limits(device: str = "cpu") -> tuple[LimitMeasurement, ...]:
    """Measure memory bandwidth (summing one GiB) and arithmetic rates (products of 2048 x 2048 matrices)."""
    return (
        _bandwidth(device),
        _arithmetic(torch.float32, device),
        _arithmetic(torch.bfloat16, device),
    )


def best_seconds(function: Callable[[], object], repeats: int, device: str) -> tuple[float, ...]:
    """Time `repeats` calls after one that does not count; on a GPU, until it has done them."""

    def wait() -> None:
        if device.startswith("cuda"):
            torch.cuda.synchronize()

    function()
    times = []
    for _ in range(repeats):
        wait()
        began = time.perf_counter()
        function()
        wait()
        times.append(time.perf_counter() - began)
    return tuple(times)


def _bandwidth(device: str) -> LimitMeasurement:
    block = torch.ones(READ_BYTES // 4, dtype=torch.float32, device=device)
    times = best_seconds(block.sum, REPEATS, device)
    return LimitMeasurement("memory", "GB/s", tuple(READ_BYTES / GIGA / seconds for seconds in times))


def _arithmetic(dtype: torch.dtype, device: str) -> LimitMeasurement:
    left = torch.ones(MATRIX, MATRIX, dtype=dtype, device=device)
    right = torch.ones(MATRIX, MATRIX, dtype=dtype, device=device)
    times = best_seconds(lambda: left @ right, REPEATS, device)
    name = str(dtype).removeprefix("torch.")
    return LimitMeasurement(name, "GFLOP/s", tuple(2 * MATRIX**3 / GIGA / seconds for seconds in times))
