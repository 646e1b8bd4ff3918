"""Each revision's scaling curve and memory line, with intervals, for the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.run.gate.records import BASE, HEAD
from harness.verdict.bench.scaling_law import fit_scaling_law
from harness.verdict.bench.statistics import CONFIDENCE, estimate
from harness.verdict.gate.samples import LAW_SUBJECT, memory_points, slopes, throughput_points

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from harness.run.gate.records import Round

RESAMPLES = 100


def scaling_curves(rounds: Sequence[Round]) -> Iterator[dict[str, Any]]:
    """Fit the universal scalability law to the rounds' medians; intervals from rounds drawn again."""
    for revision in (BASE, HEAD):
        points = throughput_points(rounds, revision)
        law = _fit(points, range(len(rounds)))
        if law is None:
            continue
        generator = np.random.default_rng(0)
        drawn = [_fit(points, generator.integers(0, len(rounds), len(rounds))) for _ in range(RESAMPLES)]
        fits = np.array([[one.contention, one.coherence] for one in drawn if one is not None])
        tail = (1 - CONFIDENCE) / 2
        low, high = np.quantile(fits, (tail, 1 - tail), axis=0)
        yield {
            "subject": LAW_SUBJECT,
            "revision": revision,
            "rate": law.rate,
            "contention": law.contention,
            "contention_low": float(low[0]),
            "contention_high": float(high[0]),
            "coherence": law.coherence,
            "coherence_low": float(low[1]),
            "coherence_high": float(high[1]),
            "points": [[workers, float(np.median(values))] for workers, values in sorted(points.items())],
        }


def memory_lines(rounds: Sequence[Round]) -> Iterator[dict[str, Any]]:
    """Return the slope of peak memory over workers, and the medians it goes through."""
    for revision in (BASE, HEAD):
        points = memory_points(rounds, revision)
        found = estimate(slopes(points)) if len(points) > 1 else None
        if found is None:
            continue
        yield {
            "subject": LAW_SUBJECT,
            "revision": revision,
            "slope": found.median,
            "low": found.low,
            "high": found.high,
            "points": [[workers, float(np.median(values))] for workers, values in sorted(points.items())],
        }


def _fit(points: dict[int, list[float]], places: Sequence[int] | np.ndarray[Any, Any]) -> Any:  # noqa: ANN401 - a ScalingLaw or None
    workers = sorted(points)
    chosen = list(places)
    return fit_scaling_law(workers, [float(np.median([points[count][place] for place in chosen])) for count in workers])
