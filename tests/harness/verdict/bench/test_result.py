"""`bench.json`: what it holds, and the one word it begins with."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import SavedFileError
from harness.verdict.bench.result import FILE, NEEDED, VERSION, judge_bench
from harness.verdict.saved import load_result, save_result
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path


def test_raw_rounds_and_everything_derived_are_saved(tmp_path: Path) -> None:
    result = judge_bench(bench_toys.observations())
    save_result(result, tmp_path / FILE)
    again = load_result(tmp_path / FILE, VERSION, needed=NEEDED)
    assert again["run"]["status"] == "MET"
    assert again["run"]["wrong_outputs"] == 0
    assert "set for the full size" in again["run"]["reason"]
    assert len(again["rounds"]) == len(bench_toys.observations().cells)
    assert again["rounds"][0]["calls"][0]["audio_sha256"] == "stock/0"
    assert again["scaling_law"]["engine-fp32"]["contention"] == pytest.approx(0.1, abs=0.01)
    assert {"environment", "command", "workload", "stages", "limits"} <= set(again)


def test_a_wrong_output_of_ours_outweighs_every_speed_and_a_rivals_does_not() -> None:
    seen = bench_toys.observations()

    def spoilt(subject: str) -> tuple[str, str]:
        cells = tuple(
            replace(cell, calls=(replace(cell.calls[0], audio_sha256="other"), *cell.calls[1:]))
            if cell.subject == subject and cell.workers == 16
            else cell
            for cell in seen.cells
        )
        run = judge_bench(replace(seen, cells=cells))["run"]
        return run["status"], run["reason"]

    assert spoilt("engine-fp32")[0] == "WRONG OUTPUTS"
    assert spoilt("stateless")[0] == "WRONG OUTPUTS"
    status, reason = spoilt("process-pool")
    assert status == "MET"
    assert "of other contestants had not" in reason


def test_a_run_that_left_cores_idle_says_so() -> None:
    seen = bench_toys.observations()
    environment = {**seen.facts["environment"], "torch_threads": 1, "cores": 2}
    run = judge_bench(replace(seen, facts={**seen.facts, "environment": environment}))["run"]
    assert run["status"] == "MET"
    assert run["reason"].endswith("An operation of torch's had 1 of 2 cores (is OMP_NUM_THREADS set?).")


@pytest.mark.parametrize("change", [{"audio_sha256": "other"}, {"error": "OSError: no"}])
def test_outputs_under_arrivals_are_checked_as_well(change: dict[str, Any]) -> None:
    seen = bench_toys.observations()
    (cell,) = seen.arrivals

    def spoilt(subject: str) -> dict[str, Any]:
        calls = (replace(cell.calls[0], **change), *cell.calls[1:])
        return judge_bench(replace(seen, arrivals=(replace(cell, subject=subject, calls=calls),)))

    assert judge_bench(seen)["latency"][0]["outputs"]["same"] == 70
    ours = spoilt("engine-fp32")["run"]
    assert (ours["status"], ours["wrong_outputs"]) == ("WRONG OUTPUTS", 1)
    assert spoilt("sequential")["run"]["status"] == "MET"


def test_memory_is_that_of_the_device() -> None:
    seen = bench_toys.observations()
    facts = {**seen.facts, "command": {**seen.facts["command"], "device": "cuda"}}
    assert judge_bench(seen)["memory"]
    assert judge_bench(replace(seen, facts=facts))["memory"] == []


def test_without_the_plans_own_target_nothing_is_claimed() -> None:
    seen = bench_toys.observations()
    cells = tuple(cell for cell in seen.cells if cell.workers != 4)
    assert judge_bench(replace(seen, cells=cells))["run"]["status"] == "NOT MEASURED"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not whole JSON"),
        (json.dumps({"version": "bench/0"}), "version 'bench/0' is not 'bench/1'"),
        (json.dumps({"version": "bench/1"}), "has no 'agreement'"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(SavedFileError, match=message):
        load_result(tmp_path / FILE, VERSION, needed=NEEDED)
