"""The whole command, on upstream's own classes."""

from __future__ import annotations

import json
from dataclasses import replace
from shutil import copyfile
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.commands.bench import DEFAULTS, OBSERVATIONS, bounded, conclude, effort_of
from harness.observations.bench_store import BenchWriter
from harness.run.bench.rounds import ALONE
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path


def test_no_reference_is_made_that_no_cell_asks_for() -> None:
    tiny = effort_of("tiny")
    assert bounded(tiny, (1, 16)) == tiny
    assert (bounded(tiny, (1,)).alone_calls, bounded(tiny, (1,)).baseline_calls) == (4, 4)
    full = effort_of("full")
    assert bounded(full, (1,)) == full  # an engine alone speaks four: as many lengths as stock is compared with


def test_a_run_is_not_merged_with_itself(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [str(tmp_path / "run"), str(tmp_path / "." / "other" / ".." / "run")]
    assert main(["bench", "--merge", *folders, "--out", str(tmp_path / "both")]) == 2
    assert "run is given twice; expected the folder of another run" in capsys.readouterr().err


def test_the_stages_that_were_timed_before_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "stages.json").write_text("{}", encoding="utf-8")
    assert main(["bench", "--merge", str(tmp_path / "nothing"), "--out", str(tmp_path)]) == 2
    # It is the run to be merged that is missing; the stages are in nobody's way.
    assert "nothing/bench-observations.jsonl" in capsys.readouterr().err
    assert (tmp_path / "stages.json").exists()


def test_what_cannot_be_merged_takes_nothing_away(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text("{}", encoding="utf-8")
    assert main(["bench", "--merge", str(tmp_path / "nothing"), "--out", str(tmp_path)]) == 2
    assert (tmp_path / "bench.json").exists()


@pytest.mark.parametrize(("left_out", "status"), [(True, 3), (False, 0)])
def test_a_run_without_time_for_any_cell_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, left_out: bool, status: int
) -> None:
    monkeypatch.setattr("harness.report.draw.draw_report", lambda folder: folder)
    seen = bench_toys.observations()
    cells = (
        replace(cell, calls=(), not_run="no time left") if left_out and cell.round != ALONE else cell
        for cell in seen.cells
    )
    with BenchWriter(tmp_path / OBSERVATIONS, seen.facts) as writer:
        for record in replace(seen, cells=tuple(cells)).records():
            writer.add(record)
    assert conclude(tmp_path) == status


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure the same with less: shorter texts and voices, fewer lengths of an utterance, smaller limits."""
    monkeypatch.setattr("harness.commands.bench.quieten_upstream", lambda: None)
    monkeypatch.setitem(DEFAULTS["tiny"], "cost_tokens", 16)
    monkeypatch.setattr("harness.workload.bench.TOKENS_PER_S", 8.0)
    monkeypatch.setattr("harness.workload.bench.PROMPT_S", (0.5, 1.0))
    monkeypatch.setattr("harness.run.bench.limits.READ_BYTES", 2**26)
    monkeypatch.setattr("harness.run.bench.limits.MATRIX", 256)


@pytest.mark.slow
@pytest.mark.usefixtures("short", "undrawn")  # the charts have tests of their own
def test_a_run_is_saved_judged_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--subjects", "engine-fp32", "--workers", "2", "--rounds", "1", "--agreement", "2", "--arrivals", "0"]
    words += ["--parts", "whole"]  # the other parts have tests of their own
    monkeypatch.setattr("harness.environment.cores_left_idle", lambda facts: f"{facts['cores']} cores, or so")
    assert main(["bench", *words, "--time-budget", "400", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "bench.json").read_text(encoding="utf-8"))
    row = next(row for row in result["table"]["whole"] if row["subject"] == "engine-fp32")
    assert row["workers"] == 2
    assert row["outputs"]["same"] == 4
    assert row["speedup"]["median"] > 0
    assert [entry["utterances"] for entry in result["agreement"]] == [2, 4]
    assert len((tmp_path / "bench-observations.jsonl").read_text(encoding="utf-8").splitlines()) > 10
    printed = capsys.readouterr()
    assert f"Report: {tmp_path / 'index.html'}" in printed.out
    assert " cores, or so" in printed.err
    assert (tmp_path / "index.html").exists()
    both = tmp_path / "both"
    monkeypatch.setattr("harness.report.draw.draw_report", lambda folder: folder)  # as above
    again = tmp_path / "again"  # as a second run that saw the same
    again.mkdir()
    copyfile(tmp_path / "bench-observations.jsonl", again / "bench-observations.jsonl")
    assert main(["bench", "--merge", str(tmp_path), str(again), "--out", str(both)]) == 0
    merged = json.loads((both / "bench.json").read_text(encoding="utf-8"))
    row = next(row for row in merged["table"]["whole"] if row["subject"] == "engine-fp32")
    assert (row["rounds"], row["outputs"]["same"]) == (2, 8)
