"""Latency from the scheduled arrival, percentiles only where there are samples enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.verdict.bench.rates import check_outputs, ran, references, wrong_outputs
from harness.verdict.bench.statistics import percentile_or_floor

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import ArrivalCell, BenchCall, BenchCell

PERCENTILES = (50.0, 90.0, 95.0, 99.0)
WHOLE = "whole"


def latency_table(arrivals: Sequence[ArrivalCell], cells: Sequence[BenchCell]) -> list[dict[str, Any]]:
    """Return one entry per contestant that was asked: latencies, and the share of them that waiting and sharing add.

    Each latency is `waiting_s`, in front of the contestant or inside it, until its work begins or goes on, and
    `service_s`, while it is worked on, alone or in a batch. `alone_s` are the latencies of the same contestant with
    one request at a time. What a request takes beyond its time alone is `queueing_s`; requests that were never served
    alone are left out there. `split_s` has service and waiting of each request, from the fastest to the slowest.
    Outputs are checked as those of the cells are.
    """
    expected = references(cells, WHOLE)
    entries = []
    for cell in arrivals:
        if cell.not_run:
            continue
        answered = [call for call in cell.calls if call.error is None]
        latencies = [call.ended_s - call.scheduled_s for call in answered]
        waits = [_waiting(call) for call in answered]
        split = sorted(zip(latencies, waits, strict=True))
        alone = _alone(cells, cell.subject)
        outputs = check_outputs([cell], expected.get(cell.subject, {}), {})
        known = [(call.ended_s - call.scheduled_s, alone[call.request]) for call in answered if call.request in alone]
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
                "queueing_s": sorted(latency - service for latency, service in known),
                "waiting_s": sorted(waits),
                "service_s": sorted(latency - waiting for latency, waiting in split),
                "split_s": [[latency - waiting, waiting] for latency, waiting in split],
                "outputs": outputs,
                "wrong_outputs": wrong_outputs(outputs),
                "late_start_s": max((call.started_s - call.scheduled_s for call in answered), default=0.0),
            }
        )
    return entries


def left_out(arrivals: Sequence[ArrivalCell]) -> list[dict[str, str]]:
    """Return who got no arrivals, and why."""
    return [{"subject": cell.subject, "reason": cell.not_run} for cell in arrivals if cell.not_run]


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
