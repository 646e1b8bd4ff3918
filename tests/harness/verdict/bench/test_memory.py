"""Peak memory is put together from what is the contestant's own."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.verdict.bench.memory import memory_table, slope_per_worker
from tests.harness import bench_toys


def test_peaks_slope_and_cache_formula() -> None:
    seen = bench_toys.observations()
    entries = {entry["subject"]: entry for entry in memory_table(seen.cells, seen.contestants, seen.model, seen.kept)}
    engine = entries["engine-fp32"]
    assert engine["peak_mib"] == {"1": 3200.0, "4": 3380.0, "16": 4100.0}
    assert (engine["own_mib"], engine["kept_mib"]) == (100.0, 40.0)
    assert engine["slope_mib_per_worker"] == pytest.approx(60.0)
    assert engine["cache_mib_per_request"] == pytest.approx(500_000 * 100 / 2**20)
    assert engine["slope_over_cache"] == pytest.approx(60.0 / (500_000 * 100 / 2**20))
    assert entries["engine-bf16"]["cache_mib_per_request"] == pytest.approx(250_000 * 100 / 2**20)
    # The pool does not stand on this process's model.
    assert entries["process-pool"]["peak_mib"]["1"] == 160.0


def test_one_point_has_no_slope() -> None:
    assert slope_per_worker({4: 100.0}) is None
    assert slope_per_worker({1: 100.0, 3: 160.0}) == pytest.approx(30.0)


def test_on_a_gpu_its_own_memory_is_judged() -> None:
    seen = bench_toys.observations()
    cells = [replace(cell, gpu_peak_mib=5000.0 + 10.0 * cell.workers) for cell in seen.cells]
    # The pool's processes have a GPU's memory that nobody has measured.
    cells = [replace(cell, gpu_peak_mib=None) if cell.subject == "process-pool" else cell for cell in cells]
    found = memory_table(cells, seen.contestants, seen.model, seen.kept, "cuda:0")
    entries = {entry["subject"]: entry for entry in found}
    engine = entries["engine-fp32"]
    assert engine["peak_mib"] == {"1": 5010.0, "4": 5040.0, "16": 5160.0}
    assert engine["slope_mib_per_worker"] == pytest.approx(10.0)
    assert engine["own_mib"] is engine["kept_mib"] is engine["base_mib"] is None
    assert "process-pool" not in entries
    # As of a run that did not measure it.
    assert memory_table(seen.cells, seen.contestants, seen.model, seen.kept, "cuda") == []
