"""What this machine can do at best: read memory, multiply matrices."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from harness.run.bench.records import LimitMeasurement

if TYPE_CHECKING:
    from collections.abc import Callable

GIGA = 1e9
# Far larger than any cache, or caches would be measured.
READ_BYTES = 2**30
REPEATS = 5
LEAST_MATRIX, MATRIX = 256, 2048
# Of a smaller product, when one of twice the width would take far longer than a limit is worth waiting for.
ENOUGH_S = 0.25


def measure_limits(device: str = "cpu") -> tuple[LimitMeasurement, ...]:
    """Measure memory bandwidth (summing one GiB) and arithmetic rates.

    They are those of torch's own products of 2048 x 2048 matrices, the second as a layer has its weights; of smaller
    ones where a CPU without instructions for a dtype would take seconds for each.
    """
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
    width = LEAST_MATRIX
    times = _products(width, dtype, device)
    while width < MATRIX and min(times) < ENOUGH_S:
        width *= 2
        times = _products(width, dtype, device)
    name = str(dtype).removeprefix("torch.")
    return LimitMeasurement(name, "GFLOP/s", tuple(2 * width**3 / GIGA / seconds for seconds in times))


def _products(width: int, dtype: torch.dtype, device: str) -> tuple[float, ...]:
    left, right = torch.ones(2, width, width, dtype=dtype, device=device)
    return best_seconds(lambda: functional.linear(left, right), REPEATS, device)
