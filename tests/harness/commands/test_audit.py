from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.commands.audit import time_after

if TYPE_CHECKING:
    from pathlib import Path

SUBJECTS = """
import torch
from harness import Subject

class Model:
    last = None

def build(call):
    model = Model()
    return Subject("mine", lambda value: call(model, value), (model,), (1.0, 2.0))

def remember(model, value):
    model.last = torch.tensor(value)
    return model.last + 1

def unsafe(): return build(remember)
def safe(): return build(lambda model, value: torch.tensor(value))
def unstable(): return build(lambda model, value: torch.randn(3))
def broken(): return build(lambda model, value: 1 / 0)
def wrong(): return 7
def raising(): raise RuntimeError("no weights")
number = 7
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "audited_project.py").write_text(SUBJECTS, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "audited_project", raising=False)
    return tmp_path


def run(folder: Path, target: str) -> int:
    return main(["audit", target, "--out", str(folder / "out"), "--seconds", "3", "--threads", "4"])


@pytest.mark.parametrize(("factory", "verdict", "status"), [("safe", "SAFE", 0), ("unsafe", "UNSAFE", 1)])
def test_the_verdict_is_printed_first_saved_and_the_exit_status(
    project: Path, capsys: pytest.CaptureFixture[str], factory: str, verdict: str, status: int
) -> None:
    assert run(project, f"audited_project:{factory}") == status

    assert capsys.readouterr().out.startswith(f"{verdict}  mine: ")
    saved = json.loads((project / "out" / "audit.json").read_text(encoding="utf-8"))
    assert "Audit of" in (project / "out" / "index.html").read_text(encoding="utf-8")
    assert saved["verdict"] == verdict
    assert {"path", "kind", "location", "harmful", "evidence"} <= set().union(*saved["writes"], {*()}) or not (
        saved["writes"]
    )
    assert saved["facts"]["slow_down"] > 0
    assert saved["environment"]["versions"]["torch"]


def test_an_unstable_call_is_inconclusive_with_its_draw(project: Path) -> None:
    assert run(project, "audited_project:unstable") == 3

    saved = json.loads((project / "out" / "audit.json").read_text(encoding="utf-8"))
    assert saved["verdict"] == "INCONCLUSIVE"
    assert "aten::randn draws from the process-wide" in saved["reason"]
    assert saved["draws"][0]["location"].endswith("audited_project.py:18")


def test_a_call_that_raises_is_inconclusive_and_saved(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(project, "audited_project:broken") == 3

    assert "a call raised although nothing else ran: ZeroDivisionError" in capsys.readouterr().err
    assert json.loads((project / "out" / "audit.json").read_text(encoding="utf-8"))["verdict"] == "INCONCLUSIVE"


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("no_such_project:build", "cannot be imported: ModuleNotFoundError"),
        ("audited_project:nothing", "has no attribute 'nothing'"),
        ("audited_project:number", "is int, not a factory"),
        ("audited_project:wrong", "the factory returned int, not a harness.Subject"),
        ("audited_project:raising", "the factory raised RuntimeError: no weights"),
        ("audited_project:", "not of the form package.module:factory"),
    ],
)
def test_each_wrong_target_has_its_own_message(
    project: Path, capsys: pytest.CaptureFixture[str], target: str, message: str
) -> None:
    assert run(project, target) == 2

    assert message in capsys.readouterr().err
    assert not (project / "out" / "audit.json").exists()


@pytest.mark.parametrize(("start_up_s", "seconds"), [(4.0, 48.0), (12.0, 40.0), (26.0, 52.0), (500.0, 60.0)])
def test_an_audit_gets_what_is_left_of_a_minute_and_more_where_its_start_shows_that_all_is_slow(
    start_up_s: float, seconds: float
) -> None:
    assert time_after(start_up_s) == seconds
