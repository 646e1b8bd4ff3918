"""`history` reads, orders, draws; whatever is wrong with a file or a name is one line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.commands import main
from harness.verdict.saved import save_result
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


def save_gate(folder: Path, place: int, *, worse: float = 0.0, cpu: str = "any") -> Path:
    """Save a gate of commit number `place`."""
    result = samples.gate_result(runs=(samples.gate_run(worse=worse),))
    environment = {**samples.ENVIRONMENT, "cpu": cpu, "commit": f"{place:040x}", "date": f"2026-01-{place + 1:02}"}
    return save_result({**result, "environment": environment}, folder / f"run-{place}-{cpu}" / "gate.json")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    return err


@pytest.mark.usefixtures("undrawn")
def test_metrics_are_followed_over_folders_and_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(12):
        save_gate(tmp_path / "in", place, worse=0.01 * (place % 3) + (0.3 if place >= 6 else 0.0))
    save_gate(tmp_path / "in", 3, cpu="another")
    out = tmp_path / "out"
    words = ["history", str(tmp_path / "in"), str(tmp_path / "in" / "run-3-any"), "--out", str(out)]
    assert main([*words, "--metric", "gate/throughput/*/worse"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("GOT WORSE: 3 steps in 3 metrics on 2 machines, 3 for the worse; ")
    assert str(out / "index.html") in said
    result = json.loads((out / "history.json").read_text(encoding="utf-8"))
    # Given twice, read once.
    assert len(result["results"]) == 13
    assert {step["commit"] for metric in result["metrics"] for line in metric["lines"] for step in line["steps"]} == {
        f"{6:040x}"
    }
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.index("GOT WORSE") < page.index("gate/throughput/stateless/1/worse")
    assert len(list((out / "charts").glob("history-*.svg"))) == 3


@pytest.mark.usefixtures("undrawn")
def test_report_draws_a_history_again(tmp_path: Path) -> None:
    for place in range(2):
        save_gate(tmp_path / "in", place)
    out = tmp_path / "out"
    assert main(["history", str(tmp_path / "in"), "--metric", "gate/throughput/*/worse", "--out", str(out)]) == 0
    first = (out / "index.html").read_bytes()
    assert b"TOO FEW COMMITS" in first
    assert main(["report", str(out)]) == 0
    assert (out / "index.html").read_bytes() == first


@pytest.mark.usefixtures("undrawn")
def test_benchmarks_are_followed_by_their_ratio_to_stock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(2):
        result: dict[str, Any] = json.loads(samples.save_bench(tmp_path / "raw").read_text(encoding="utf-8"))
        environment = {**samples.ENVIRONMENT, "commit": f"{place:040x}"}
        save_result({**result, "environment": environment}, tmp_path / "in" / str(place) / "bench.json")
    assert main(["history", str(tmp_path / "in"), "--out", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.startswith("TOO FEW COMMITS")
    drawn = json.loads((tmp_path / "out" / "history.json").read_text(encoding="utf-8"))
    names = [metric["name"] for metric in drawn["metrics"]]
    assert "bench/tiny/whole/engine-fp32/4/speedup" in names
    assert not [name for name in names if "/sequential/" in name]


def test_what_is_wrong_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = ["--out", str(tmp_path / "out")]
    folder = tmp_path / "in"
    assert "DIR: no folder" in refused(["history", str(folder), *out], capsys)
    path = save_gate(folder, 0)
    assert "DIR: 1 usable results in " in refused(["history", str(folder), *out], capsys)
    second = save_gate(folder, 1)
    assert "nothing is called 'nonsense'; there are gate/" in refused(
        ["history", str(folder), "--metric", "nonsense", *out], capsys
    )
    whole = second.read_text(encoding="utf-8")
    for text, message in (
        (whole[:99], "is not whole JSON, damaged or cut off"),
        (whole.replace("gate/1", "gate/9"), "version 'gate/9' is not 'gate/1'"),
        (whole.replace('"commit"', '"commits"'), "its environment does not tell its 'commit'"),
        (whole.replace('"head_value"', '"heads_value"'), "an entry is missing or of the wrong kind"),
    ):
        second.write_text(text, encoding="utf-8")
        said = refused(["history", str(folder), *out], capsys)
        assert f"{second}: {message}" in said
    assert path.exists()
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(2):
        save_gate(tmp_path / "in", place)
    words = ["history", str(tmp_path / "in"), "--metric", "*", "--out", str(tmp_path / "in")]
    assert "which is not of a report; choose another folder" in refused(words, capsys)
