"""Does memory grow with what has been spoken, and does a thread stay?"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.soak.records import SoakRound

CONFIDENCE = 0.95
# Allocators and caches settle first.
SETTLING_SHARE = 0.25
LEAST_ROUNDS = 5
# A drift that is surely below this share of what the process holds is noise, however steady.
NOISE_SHARE = 0.01
# What a run has to be able to see: a second of audio (24 000 float32 samples) kept of every segment.
LEAST_LEAK_MIB = 1000 * 24_000 * 4 / 2**20
_PER = 1000


@dataclass(frozen=True)
class Slope:
    """Memory over segments, by least squares.

    Attributes:
        mib_per_1000_segments: the slope.
        low: lower end of its 95 % interval (Student's t over the rounds' residuals).
        high: upper end.
        rounds: that it was fitted to.
        drift_high_mib: what `high` comes to over all of them.
        resident_mib: mean of what the process held.
        least_seen: smallest leak that would have been called growth, had it come on top; MiB per 1000 segments.
        grows: whether the interval is above zero, and the drift may be above 1 % of what the process held.
    """

    mib_per_1000_segments: float
    low: float
    high: float
    rounds: int
    drift_high_mib: float
    resident_mib: float
    least_seen: float
    grows: bool

    @property
    def tells(self) -> bool:
        """Whether a leak that has to be seen would have been."""
        return self.grows or self.least_seen <= LEAST_LEAK_MIB

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def memory_slope(rounds: Sequence[SoakRound]) -> Slope | None:
    """Fit memory after each round to the segments spoken until then; None from too few rounds."""
    spoken = np.cumsum([len(seen.endings) for seen in rounds])
    memory = np.array([seen.memory_mib for seen in rounds])
    settled = int(len(rounds) * SETTLING_SHARE)
    x, y = spoken[settled:] / _PER, memory[settled:]
    if len(x) < LEAST_ROUNDS:
        return None
    from scipy import stats  # noqa: PLC0415 - takes a second to import

    deviation = x - x.mean()
    slope = float(deviation @ y / (deviation @ deviation))
    residuals = y - y.mean() - slope * deviation
    error = float(np.sqrt(residuals @ residuals / (len(x) - 2) / (deviation @ deviation)))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(x) - 2)) * error
    low, high = slope - margin, slope + margin
    span, resident = float(x[-1] - x[0]), float(y.mean())
    noise = NOISE_SHARE * resident / span
    least_seen = max(0.0, -low, noise - high)
    return Slope(slope, low, high, len(x), high * span, resident, least_seen, grows=low > 0 and high > noise)


def threads_left(rounds: Sequence[SoakRound]) -> list[str]:
    """Return the names of threads that ran after the last round and not before the first."""
    if not rounds:
        return []
    return sorted((Counter(rounds[-1].threads_after) - Counter(rounds[0].threads_before)).elements())
