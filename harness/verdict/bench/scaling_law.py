"""The universal scalability law: throughput against workers in three numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import least_squares

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_POINTS = 3
# Below this the fit has found none.
LEAST_COHERENCE = 1e-9


@dataclass(frozen=True)
class ScalingLaw:
    """X(n) = rate n / (1 + contention (n - 1) + coherence n (n - 1)).

    Attributes:
        rate: of one worker.
        contention: the share of the work that waits for others; 1 / contention bounds the speed-up.
        coherence: cost of every pair of workers; above 0 there is a number of workers beyond which it gets worse.
        r_squared: share of the variance that the curve explains; None if there is none.
        best_workers: where the curve is highest, 1 if it only falls; None if it only rises.
    """

    rate: float
    contention: float
    coherence: float
    r_squared: float | None
    best_workers: float | None

    def at(self, workers: float) -> float:
        """Return the throughput of `workers`."""
        slowdown = 1 + self.contention * (workers - 1) + self.coherence * workers * (workers - 1)
        return self.rate * workers / slowdown


def fit_scaling_law(workers: Sequence[int], throughput: Sequence[float]) -> ScalingLaw | None:
    """Fit the law by least squares with no number below 0; None with fewer than three numbers of workers."""
    if len(set(workers)) < LEAST_POINTS or min(throughput) <= 0:
        return None
    counts, rates = np.asarray(workers, dtype=np.float64), np.asarray(throughput, dtype=np.float64)
    scale = float(np.max(rates))

    def error(guess: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        rate, contention, coherence = guess
        slowdown = 1 + contention * (counts - 1) + coherence * counts * (counts - 1)
        return np.asarray(rate * counts / slowdown - rates / scale)

    start = (rates[0] / scale / counts[0], 0.1, 0.001)
    found = least_squares(error, start, bounds=((0, 0, 0), (np.inf, np.inf, np.inf)), xtol=1e-12, ftol=1e-12)
    rate, contention, coherence = (float(value) for value in found.x)
    spread = float(np.sum((rates - rates.mean()) ** 2)) / scale**2
    return ScalingLaw(
        rate=rate * scale,
        contention=contention,
        coherence=coherence,
        r_squared=1 - float(np.sum(found.fun**2)) / spread if spread > 0 else None,
        best_workers=_best_workers(contention, coherence),
    )


def _best_workers(contention: float, coherence: float) -> float | None:
    if coherence > LEAST_COHERENCE:
        return max(1.0, math.sqrt(max(0.0, 1 - contention) / coherence))
    return 1.0 if contention > 1 else None
