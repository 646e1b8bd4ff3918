"""Latency from the scheduled arrival."""

from __future__ import annotations

import pytest

from harness.run.bench.records import ArrivalCell
from harness.verdict.bench.latency import latency_table, left_out
from tests.harness import bench_toys


def test_latency_counts_from_the_schedule_and_percentiles_know_their_floors() -> None:
    seen = bench_toys.observations()
    (entry,) = latency_table(seen.arrivals, seen.cells)
    assert entry["offered_per_s"] == pytest.approx(0.28)
    percentiles = {one["percentile"]: one for one in entry["percentiles"]}
    assert percentiles[50.0]["seconds"] == pytest.approx(15.0)
    assert percentiles[90.0]["seconds"] == pytest.approx(18.0)
    assert percentiles[99.0]["seconds"] is None
    assert percentiles[99.0]["samples_needed"] == 662
    # Alone a request takes 10 s in the first round and 20 s in the second; the shorter is its time alone.
    assert entry["alone_s"] == [10.0] * 4
    # Each is taken up a second after it was to arrive, and waits for nothing afterwards.
    assert entry["waiting_s"] == [1.0] * 70
    assert [one + 1.0 for one in entry["service_s"]] == entry["latency_s"]
    assert entry["split_s"] == [[one, 1.0] for one in entry["service_s"]]
    assert entry["queueing_s"][0] == pytest.approx(2.0)
    assert entry["queueing_s"][-1] == pytest.approx(8.0)
    before = [cell for cell in seen.cells if cell.round < 0]
    assert latency_table(seen.arrivals, before)[0]["alone_s"] == [10.0] * 4


def test_who_was_not_asked_is_left_out_and_named() -> None:
    seen = bench_toys.observations()
    arrivals = (*seen.arrivals, ArrivalCell("sequential", 0.1, 0.7, not_run="no time left"))
    assert latency_table(arrivals, seen.cells) == latency_table(seen.arrivals, seen.cells)
    assert left_out(arrivals) == [{"subject": "sequential", "reason": "no time left"}]
