"""Every target is told as measured: met, not met, or not measured."""

from __future__ import annotations

import pytest

from harness.verdict.bench.memory import memory_table
from harness.verdict.bench.targets import targets_table
from tests.harness import bench_toys


def test_each_target_is_met_missed_or_unknown() -> None:
    seen = bench_toys.observations()
    memory = memory_table(seen.cells, seen.contestants, seen.model)
    rows = {row["what"]: row for row in targets_table(seen.cells, memory, [])}
    fp32 = rows["end to end, 4 workers, fp32"]
    assert fp32["measured"] == pytest.approx(4 / 1.3)
    assert (fp32["met"], fp32["note"]) == (True, "2 rounds; aim met")
    assert rows["end to end, 16 workers, bf16"]["met"] is True
    # A batched engine reaches 3.08 times stock with T3 alone, and 3.08 times stock in bf16.
    assert rows["T3 alone, 4 workers, fp32"]["met"] is True
    assert rows["T3 alone, 16 workers, fp32"]["met"] is None
    assert rows["S3Gen alone, 4 workers, fp32"]["note"] == "not measured in this run"
    assert rows["one worker, bf16"]["measured"] == pytest.approx(1.0)
    memory_row = rows["memory growth per worker, fp32"]
    assert memory_row["most"] is True
    assert memory_row["measured"] == pytest.approx(1.2583, abs=1e-3)
    assert memory_row["met"] is False
    assert "pool holds 530 MiB" in memory_row["note"]
    assert rows["cost of the n-th token, float32"]["met"] is None


def test_growth_of_memory_is_judged_from_one_worker_to_sixteen() -> None:
    seen = bench_toys.observations()
    cells = [cell for cell in seen.cells if cell.workers != 16]
    memory = memory_table(cells, seen.contestants, seen.model)
    row = next(row for row in targets_table(cells, memory, []) if row["what"] == "memory growth per worker, fp32")
    assert row["met"] is None
    assert row["measured"] == pytest.approx(1.2583, abs=1e-3)
    assert row["note"].startswith("not measured with 16 workers; 60.0 MiB against 47.7, of 1, 4 workers; the pool")
