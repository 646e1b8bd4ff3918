"""Tables of the page."""

from __future__ import annotations

from harness.report.bench.tables import between, latencies
from harness.verdict.bench.latency import latency_table
from tests.harness import bench_toys


def test_a_median_needs_samples_as_every_percentile_does() -> None:
    seen = bench_toys.observations()
    entry = latency_table(seen.arrivals, seen.cells)[0] | {"service_s": [1.0] * 6 + [2.0] * 6}
    table = latencies([entry])
    row = dict(zip(table.heads, (field.text for field in table.rows[0]), strict=True))
    assert row["Waiting, median s"] == "1.00"
    # The middle of an even number lies between two.
    assert row["Service, median s"] == "1.50"
    # Only four requests were served alone.
    assert row["Alone, median s"] == "needs 11 samples"
    assert row["Outputs"] == "70/70 same"


def test_a_range_is_not_called_an_interval() -> None:
    assert between(1.0, 2.0, 6) == "1.00 to 2.00"
    assert between(1.0, 2.0, 2) == "1.00 to 2.00 (range of 2)"
    assert between(None, None, 1) == "-"
