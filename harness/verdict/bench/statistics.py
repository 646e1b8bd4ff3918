"""Medians with bootstrap intervals, and percentiles that know how many samples they need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIDENCE = 0.95
RESAMPLES = 10_000
# The range of n rounds holds the median of all rounds with a probability of 1 - 2 / 2^n: less than 95 % below six.
LEAST_FOR_INTERVAL = 6
# MLPerf LoadGen's early stopping: how sure one has to be that a percentile is not underestimated.
PERCENTILE_CONFIDENCE = 0.99


@dataclass(frozen=True)
class Estimate:
    """A median over rounds, and how sure it is.

    Attributes:
        median: over rounds.
        low, high: its bootstrap 95 % interval; of two to five rounds, the lowest and the highest; of one, None.
        rounds: how many.
    """

    median: float
    low: float | None
    high: float | None
    rounds: int


def estimate(values: Sequence[float]) -> Estimate | None:
    """Return the median of `values` and its percentile-bootstrap interval, or their range; None without values."""
    if not values:
        return None
    sample = np.asarray(values, dtype=np.float64)
    median = float(np.median(sample))
    if sample.size < 2:  # noqa: PLR2004 - one round has no spread to resample
        return Estimate(median, None, None, 1)
    if sample.size < LEAST_FOR_INTERVAL:
        return Estimate(median, float(sample.min()), float(sample.max()), int(sample.size))
    generator = np.random.default_rng(0)
    medians = np.median(generator.choice(sample, size=(RESAMPLES, sample.size)), axis=1)
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return Estimate(median, float(low), float(high), int(sample.size))


def samples_needed(percentile: float) -> int:
    """Return the least number of samples from which a percentile may be told, by MLPerf LoadGen's early stopping.

    With n samples of which the highest is dropped, the highest one left is an upper bound of the percentile with 99 %
    confidence if at most one of n samples lies above it with a probability of at most 1 %: 90 % needs 64 samples, 99 %
    needs 662.
    """
    above = 1 - percentile / 100
    count = 2
    while _at_most(1, count, above) > 1 - PERCENTILE_CONFIDENCE:
        count += 1
    return count


def percentile_or_floor(values: Sequence[float], percentile: float) -> tuple[float | None, int]:
    """Return the percentile of `values`, or None where there are too few, and how many are needed."""
    needed = samples_needed(percentile)
    if len(values) < needed:
        return None, needed
    return float(np.percentile(np.asarray(values), percentile)), needed


def _at_most(most: int, count: int, probability: float) -> float:
    """Probability that at most `most` of `count` independent events of `probability` happen."""
    return sum(
        math.comb(count, hits) * probability**hits * (1 - probability) ** (count - hits) for hits in range(most + 1)
    )
