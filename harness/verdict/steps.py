"""Find steps in a short, noisy series.

E-divisive (Matteson and James, "A nonparametric approach for multiple change point analysis of multivariate data",
JASA 109, 2014), the method behind the change points of MongoDB's and DataStax's performance histories ("Hunter",
Fleming et al., ICPE 2023): split where the energy distance between what lies before and after is largest, keep the
split if shuffled series hardly ever show one as large, and go on in both halves. It assumes no distribution, and the
shuffling itself accounts for the search over places. Shuffles are seeded, so that a history says the same twice.
Its weakness is the dip that recovers: a single split tells it badly, so it needs more commits than a step that stays.
"""

from __future__ import annotations

import itertools
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SIGNIFICANCE = 0.01
# The clearest step in the middle of n points is matched by 2 of n over n/2 orders: 10 points are the fewest
# for which that is less than 1 %.
LEAST_POINTS = 10
LEAST_SEGMENT = 2
SHUFFLES = 1999
CHUNK_ITEMS = 1_000_000


@dataclass(frozen=True)
class Step:
    """A step between two neighbours of a series.

    Attributes:
        place: index of the first point after it.
        before: median of the segment before.
        after: median of the segment after.
        p_value: share of shuffled series with a split as large.
    """

    place: int
    before: float
    after: float
    p_value: float


def find_steps(values: Sequence[float]) -> tuple[Step, ...]:
    """Return the steps of a series in their order; none if it has fewer than `LEAST_POINTS`."""
    series = np.asarray(values, dtype=np.float64)
    places = sorted(_split(series, 0, len(series)))
    edges = [0, *(place for place, _ in places), len(series)]
    medians = [statistics.median(series[a:b].tolist()) for a, b in itertools.pairwise(edges) if b > a]
    return tuple(
        Step(place, medians[number], medians[number + 1], p_value) for number, (place, p_value) in enumerate(places)
    )


def _split(series: NDArray[np.float64], start: int, end: int) -> list[tuple[int, float]]:
    """Return places and p-values of the steps in `series[start:end]`."""
    if end - start < LEAST_POINTS:
        return []
    part = series[start:end]
    distances = np.abs(part[:, None] - part[None, :])
    place, energy = _best_split(distances)
    if energy <= 0:
        return []
    p_value = _p_value(distances, energy)
    if p_value >= SIGNIFICANCE:
        return []
    middle = start + place
    return [*_split(series, start, middle), (middle, p_value), *_split(series, middle, end)]


def _p_value(distances: NDArray[np.float64], energy: float) -> float:
    """Return the share of shuffled series whose best split is as good; stops early where it will be too large."""
    count = len(distances)
    random = np.random.default_rng(0)
    at_once = max(1, CHUNK_ITEMS // count**2)
    as_large, done = 1, 1
    while done <= SHUFFLES and as_large < SIGNIFICANCE * (SHUFFLES + 1):
        number = min(at_once, SHUFFLES + 1 - done)
        orders = random.permuted(np.tile(np.arange(count), (number, 1)), axis=1)
        shuffled = distances[orders[:, :, None], orders[:, None, :]]
        # Ties, as in a series of two values, count against the step.
        as_large += int(np.sum(_energies(shuffled).max(axis=-1) >= energy * (1 - 1e-12)))
        done += number
    return as_large / done


def _best_split(distances: NDArray[np.float64]) -> tuple[int, float]:
    """Return where the energy distance between the two sides is largest, and how large it is there."""
    energies = _energies(distances)
    best = int(np.argmax(energies))
    return best + LEAST_SEGMENT, float(energies[best])


def _energies(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the energy distance between the sides of every split; distances are (..., points, points)."""
    count = distances.shape[-1]
    sums = distances.cumsum(axis=-2).cumsum(axis=-1)
    left = np.arange(LEAST_SEGMENT, count - LEAST_SEGMENT + 1)
    right = count - left
    inside_left, rows, whole = sums[..., left - 1, left - 1], sums[..., left - 1, -1], sums[..., -1:, -1]
    between, inside_right = rows - inside_left, whole - 2 * rows + inside_left
    energy = 2 * between / (left * right) - inside_left / (left * (left - 1)) - inside_right / (right * (right - 1))
    return np.asarray(energy * (left * right / count))
