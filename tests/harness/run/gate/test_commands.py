from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from harness.audit.unfinished import TIME_WAS_UP
from harness.run.gate import commands as module
from harness.run.gate.commands import Command, commands_of, read_audit, read_hazards, read_stress, run_commands

if TYPE_CHECKING:
    from pathlib import Path

STAND_IN = """
import json, pathlib, sys, time
name, out = sys.argv[1], pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
out.mkdir(parents=True)
if name == "slow":
    time.sleep(600)
if name != "silent":
    (out / "result.json").write_text(json.dumps({"said": name}))
print("first line\\nlast line", file=sys.stderr)
sys.exit(1 if name == "fails" else 0)
"""


def command(name: str) -> Command:
    def read(result: dict[str, Any]) -> tuple[str, dict[str, int]]:
        return result["said"], {"figures": 1}

    return Command(name, (name,), "result.json", read)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    package = tmp_path / "tree" / "harness"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    return tmp_path / "tree"


def test_outcomes_come_in_order_each_with_a_folder(tree: Path, tmp_path: Path) -> None:
    one, two, three = run_commands((command("works"), command("fails"), command("silent")), tree, tmp_path / "out")
    assert (one.exit_status, one.headline, one.figures, one.detail) == (0, "works", {"figures": 1}, "")
    assert (two.exit_status, two.detail) == (1, "first line | last line")
    assert three.exit_status is None
    assert "left no result.json" in three.headline
    assert json.loads((tmp_path / "out" / "works" / "result.json").read_text()) == {"said": "works"}


def test_a_command_that_does_not_end_is_no_verdict(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ENDS_WITHIN_S", 0.5)
    (outcome,) = run_commands((command("slow"),), tree, tmp_path / "out")
    assert outcome.exit_status is None


def test_whoever_leaves_ends_the_commands_that_run(tree: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    outcomes = run_commands((command("works"), command("slow")), tree, tmp_path / "out")
    assert next(outcomes).exit_status == 0
    outcomes.close()  # type: ignore[attr-defined] # a generator has it
    assert time.monotonic() - began < 60


def test_the_commands_own_files_are_read() -> None:
    assert read_stress({"run": {"reason": "proven"}}) == ("proven", {})
    audit = {
        "verdict": "SAFE",
        "reason": "fine",
        "writes": [],
        "draws": [{"generator": "own"}, {"generator": "shared"}],
    }
    assert read_audit(audit) == ("SAFE: fine", {"writes": 0, "shared draws": 1})


def test_writes_under_a_lock_that_there_was_no_time_to_judge_are_told_and_not_counted() -> None:
    def write(guard: str, harmful: bool | None, evidence: str) -> dict[str, Any]:
        return {"guard": guard, "harmful": harmful, "evidence": evidence}

    late = f"undecided: {TIME_WAS_UP} before this could be scheduled"
    audit = {
        "verdict": "INCONCLUSIVE",
        "reason": "4 writes",
        "writes": [
            write("cache.lock", None, late),
            write("", None, late),
            write("cache.lock", False, "clean"),
            write("cache.lock", None, "undecided: it could not be held there"),
        ],
        "draws": [],
    }
    text, figures = read_audit(audit)
    assert figures == {"writes": 3, "shared draws": 0}
    assert text == f"INCONCLUSIVE: 4 writes; for 1 of them, each under a lock, {TIME_WAS_UP}"


def test_hazards_that_fail_are_told_from_those_that_could_not_be_tried() -> None:
    def row(name: str, stateless: dict[str, int] | None, stock: int = 1) -> dict[str, Any]:
        return {"id": name, "status": "shown", "stock": {"failed": stock, "trials": 1}, "stateless": stateless}

    rows = [row("a", {"failed": 0, "stuck": 0}), row("b", {"failed": 2, "stuck": 1}), row("c", None)]
    assert read_hazards({"hazards": rows}) == ("1 of 2 hazards do not touch this project; b do", {"failed": 1})
    rows = [row("a", {"failed": 0}), row("b", {"failed": 0, "stuck": 1}), row("c", {"failed": 0}, stock=0)]
    said, figures = read_hazards({"hazards": rows})
    assert figures == {"failed": 0}
    assert said.split("; ") == [
        "2 of 3 hazards do not touch this project", "1 could not be played, because calls wait for each other: b",
        "stock itself did not do as the catalogue says: c",
    ]  # fmt: skip


def test_commands_exist_and_take_their_arguments() -> None:
    import argparse
    import importlib

    for short in (True, False):
        for one in commands_of(short=short):
            module_of = importlib.import_module(f"harness.commands.{one.arguments[0]}")
            parser = argparse.ArgumentParser(exit_on_error=False)
            module_of.add_arguments(parser)
            parser.parse_args([*one.arguments[1:], "--out", "somewhere"])
    assert sys.executable
