from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.observations.gate_store import (
    CALIBRATION,
    CALIBRATION_OBSERVATIONS,
    CALIBRATION_VERSION,
    GATE_VERSION,
    GateWriter,
)
from harness.run.gate.records import HEAD
from harness.verdict.saved import load_result
from tests.harness.gate_toys import COUNTS, command_outcomes, commit, git, make_repository, make_rounds, with_injected

if TYPE_CHECKING:
    from pathlib import Path

    from harness.run.gate.records import CommandOutcome, Round


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A scratch repository that the command runs in."""
    folder = make_repository(tmp_path / "repository")
    monkeypatch.chdir(folder)
    return folder


def gate(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    try:
        status = main(["gate", *arguments])
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    return status, capsys.readouterr().err


def no_worktree_is_left(folder: Path) -> bool:
    return len(git(folder, "worktree", "list").splitlines()) == 1


@pytest.mark.parametrize("rounds", ["1", "7"])
def test_too_few_rounds(repository: Path, capsys: pytest.CaptureFixture[str], rounds: str) -> None:
    status, said = gate(capsys, "--out", str(repository / "out"), "--rounds", rounds)
    assert (status, f"--rounds: {rounds} are too few" in said) == (2, True)
    assert not (repository / "out").exists()


def test_a_base_that_does_not_exist(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = gate(capsys, "--out", str(repository / "out"), "--base", "no-such-branch")
    assert (status, "base 'no-such-branch' does not exist in this repository" in said) == (2, True)


def test_no_repository(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    status, said = gate(capsys, "--out", str(tmp_path / "out"))
    assert (status, "is not in a git repository" in said) == (2, True)


def test_a_base_without_the_harness(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(repository, "rm", "--quiet", "-r", "harness")
    without = commit(repository, {"a.txt": "a"}, "Take the harness away")
    commit(repository, {"harness/__init__.py": ""}, "Bring it back")
    status, said = gate(capsys, "--out", str(repository / "out"), "--base", without)
    assert (status, f"base {without} lacks the harness" in said) == (2, True)
    assert no_worktree_is_left(repository)


def test_a_base_that_does_not_build(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = commit(repository, {"stateless_tts/__init__.py": "import no_such_module"}, "Break it")
    commit(repository, {"stateless_tts/__init__.py": ""}, "Mend it")
    (repository / "out").mkdir()
    (repository / "out" / "gate.json").write_text("an earlier answer")
    status, said = gate(capsys, "--out", str(repository / "out"), "--base", broken)
    assert status == 2
    assert f"base {broken} does not build: importing it failed: ModuleNotFoundError" in said
    assert no_worktree_is_left(repository)
    assert not (repository / "out" / "gate.json").exists()


def test_a_calibration_of_another_version(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = repository / "other.json"
    other.write_text(json.dumps({"version": "gate-calibration/9"}))
    status, said = gate(capsys, "--out", str(repository / "out"), "--calibration", str(other))
    assert (status, f"version 'gate-calibration/9' is not '{CALIBRATION_VERSION}'" in said) == (2, True)


@pytest.mark.parametrize("floor", ["null", "[1.1]", '{"cpu/stateless/1": null}', '{"cpu/stateless/1": "low"}'])
def test_a_calibration_without_a_floor(repository: Path, capsys: pytest.CaptureFixture[str], floor: str) -> None:
    damaged = repository / "damaged.json"
    rest = '"environment": {"cpu": "a CPU", "cores": 2}, "command": {"short": false}'
    damaged.write_text(f'{{"version": "{CALIBRATION_VERSION}", "aa_floor": {floor}, {rest}}}')
    status, said = gate(capsys, "--out", str(repository / "out"), "--calibration", str(damaged))
    assert (status, "aa_floor does not tell a factor for each metric" in said) == (2, True)


def test_benchmarks_of_another_version(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = repository / "other.json"
    other.write_text(json.dumps({"version": "2.0"}))
    status, said = gate(capsys, "--out", str(repository / "out"), "--benchmarks", str(other), str(other))
    assert (status, "version '2.0' of pytest-benchmark's file" in said) == (2, True)


@pytest.mark.parametrize(
    "arguments", [("--accept", "bits-alone"), ("--time-budget", "9"), ("--rounds", "eight"), ("--merge", ".")]
)
def test_other_wrong_usage(repository: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    status, said = gate(capsys, "--out", str(repository / "out"), *arguments)
    assert (status, arguments[0] in said) == (2, True)


def test_a_folder_that_holds_something_else(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (repository / "out").mkdir()
    (repository / "out" / "thesis.txt").touch()
    status, said = gate(capsys, "--out", str(repository / "out"))
    assert (status, "'thesis.txt', which is not of a report" in said) == (2, True)


def test_an_error_of_the_gates_own_is_no_fail(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("the gate's own")

    monkeypatch.setattr("harness.gate.conduct.conduct_gate", broken)
    status, said = gate(capsys, "--out", str(repository / "out"))
    assert (status, "ZeroDivisionError: the gate's own" in said) == (2, True)


@pytest.mark.usefixtures("undrawn")
def test_a_gate_that_ran_leaves_data_summary_and_page(
    repository: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def made_up(_plan: object, writer: GateWriter, _tell: object) -> None:
        writer.add(COUNTS)
        writer.add(replace(COUNTS, revision=HEAD))
        records: tuple[CommandOutcome | Round, ...] = (*command_outcomes(), *make_rounds())
        for record in records:
            writer.add(record)

    monkeypatch.setattr("harness.gate.conduct.conduct_gate", made_up)
    assert gate(capsys, "--out", str(repository / "out"))[0] == 3
    assert load_result(repository / "out" / "gate.json", GATE_VERSION)["reason"].startswith("nothing was compared")
    commit(repository, {"a.txt": "a"}, "Change nothing")
    assert gate(capsys, "--out", str(repository / "out"))[0] == 0
    found = load_result(repository / "out" / "gate.json", GATE_VERSION)
    assert (found["answer"], found["head"]["dirty"], found["base"]["asked"]) == ("PASS", False, None)
    assert (repository / "out" / "gate.md").read_text().startswith("## ✅ Gate: PASS")
    assert "PASS" in (repository / "out" / "index.html").read_text()


@pytest.mark.usefixtures("undrawn")
def test_calibrations_are_merged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    facts = {
        "environment": {"cpu": "a CPU", "cores": 2, "date": "2026-11-25"},
        "base": {"commit": "1a2b3c4d", "asked": "HEAD", "note": ""},
        "command": {"rounds": 8, "short": True, "workers": [1, 4, 16]},
    }
    for seed, folder in enumerate(folders):
        folder.mkdir()
        with GateWriter(folder / CALIBRATION_OBSERVATIONS, facts) as writer:
            for one in with_injected(make_rounds(seed=seed), (0.2,)):
                writer.add(one)
        (folder / CALIBRATION).write_text(json.dumps({"version": CALIBRATION_VERSION, "seconds": 100.0}))
    assert gate(capsys, "--calibrate", "--merge", *map(str, folders), "--out", str(tmp_path / "both"))[0] == 0
    merged = json.loads((tmp_path / "both" / CALIBRATION).read_text(encoding="utf-8"))
    assert (merged["blocks"], merged["seconds"], merged["commit"]) == (2, 200.0, "1a2b3c4d")
    assert merged["conditions"][1]["gates"]["fail"] == 1
    assert (tmp_path / "both" / "calibration.md").exists()
    before = sorted(tmp_path.iterdir())
    again = gate(capsys, "--calibrate", "--merge", *map(str, folders), str(folders[0]), "--out", str(tmp_path / "new"))
    assert (again[0], f"--merge: {folders[0]} is named twice" in again[1]) == (2, True)
    assert sorted(tmp_path.iterdir()) == before
