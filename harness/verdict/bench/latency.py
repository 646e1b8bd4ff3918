"""Latency from the scheduled arrival, percentiles only where there are samples enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.verdict.bench.rates import ran
from harness.verdict.bench.statistics import percentile_or_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import ArrivalCell, BenchCall, BenchCell

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
WHOLE = "whole"


def latency_table(arrivals: Sequence[ArrivalCell], cells: Sequence[BenchCell]) -> list[dict[str, Any]]:
    """Return one entry per contestant: latencies, and the share of them that waiting and sharing add.

    Each latency is `waiting_s`, in front of the contestant or inside it, until its work begins or goes on, and
    `service_s`, while it is worked on, alone or in a batch. `alone_s` are the latencies of the same contestant with
    one request at a time. What a request takes beyond its time alone is `queueing_s`; requests that were never served
    alone are left out there.
    """
    entries = []
    for cell in arrivals:
        answered = [call for call in cell.calls if call.error is None]
        latencies = [call.ended_s - call.scheduled_s for call in answered]
        alone = _alone(cells, cell.subject)
        queueing = [call.ended_s - call.scheduled_s - alone[call.request] for call in answered if call.request in alone]
        entries.append(
            {
                "subject": cell.subject,
                "capacity_per_s": cell.capacity_per_s,
                "fraction": cell.fraction,
                "offered_per_s": cell.capacity_per_s * cell.fraction,
                "arrivals": len(cell.calls),
                "answered": len(answered),
                "percentiles": [_percentile(latencies, percentile) for percentile in PERCENTILES],
                "latency_s": sorted(latencies),
                "alone_s": sorted(alone.values()),
                "queueing_s": sorted(queueing),
                "waiting_s": sorted(_waiting(call) for call in answered),
                "service_s": sorted(call.ended_s - call.scheduled_s - _waiting(call) for call in answered),
                "late_start_s": max((call.started_s - call.scheduled_s for call in answered), default=0.0),
            }
        )
    return entries


def _alone(cells: Sequence[BenchCell], subject: str) -> dict[int, float]:
    """Return each request's shortest time with nothing else going on; from before the rounds if they have none."""
    alone: dict[int, float] = {}
    before = [cell for cell in cells if (cell.part, cell.subject) == (WHOLE, subject) and cell.round < 0]
    for cell in ran(cells, WHOLE, subject, 1) or before:
        for call in cell.calls:
            if call.error is None:
                seconds = call.ended_s - call.started_s
                alone[call.request] = min(seconds, alone.get(call.request, seconds))
    return alone


def _waiting(call: BenchCall) -> float:
    """Return the seconds from the scheduled arrival to being taken up, and those of waiting inside the contestant."""
    return call.started_s - call.scheduled_s + call.stage_seconds.get("waiting", 0.0)


def _percentile(latencies: Sequence[float], percentile: float) -> dict[str, Any]:
    value, needed = percentile_or_floor(latencies, percentile)
    return {"percentile": percentile, "seconds": value, "samples": len(latencies), "samples_needed": needed}
