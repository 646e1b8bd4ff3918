"""Bad input: one clear line, exit status 2, no traceback."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import pytest

from harness.__main__ import leave
from harness.commands import main
from harness.commands.arguments import claim_folder
from harness.errors import UsageError
from harness.subjects.registry import build_subjects
from harness.subjects.source import ModelSource

if TYPE_CHECKING:
    from pathlib import Path


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    try:
        status = main(arguments)
    except SystemExit as leaving:
        status = leaving.code  # type: ignore[assignment]
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.count("\n") == 1, err
    return err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "required: COMMAND"),
        (["sing"], "invalid choice: 'sing'"),
        (["stress"], "required: --out"),
        (["stress", "--out", "x", "--threads", "0"], "0 is not a thread count; give 1 to 16"),
        (["stress", "--out", "x", "--threads", "1,17"], "17 is not a thread count; give 1 to 16"),
        (["stress", "--out", "x", "--threads", "four"], "'four' is not a thread count; give 1 to 16"),
        (["stress", "--out", "x", "--threads", "2,2"], "thread count 2 is given twice"),
        (["stress", "--out", "x", "--utterances", "0"], "'0' is not a whole number of at least 1"),
        (["stress", "--out", "x", "--hang-after", "nan"], "'nan' is not a number of seconds above 0"),
        (["stress", "--out", "x", "--hang-after", "1e10"], "'1e10' is not a number of seconds above 0 and at most"),
        (["stress", "--out", "x", "--torch-threads", "4294967296"], "is not a number of threads; give 1 to 1024"),
        (["stress", "--out", "x", "--checkpoint", ""], "no folder ''"),
        (["stress", "--out", "x", "--subjects", ".x:y"], "subject '.x:y' cannot be imported: TypeError"),
        (["stress", "--out", "x", "--subjects", "json:"], "'json:' is not of the form package.module:factory"),
        (["stress", "--out", "x", "--subjects", "stateless,,"], "'stateless,,' is not a list of names"),
        (["stress", "--out", "x", "--checkpoint", "/no/such"], "no folder '/no/such'"),
        (["stress", "--out", "x", "--subjects", "nobody"], "unknown subject 'nobody'; there are sequential"),
        (["stress", "--out", "x", "--subjects", "json:nothing"], "subject 'json:nothing' cannot be found"),
        (["bench"], "required: --out"),
        (["bench", "--out", "x", "--subjects", "nobody"], "unknown subject 'nobody'; there are sequential"),
        (["bench", "--out", "x", "--subjects", "stateless,stateless"], "subject 'stateless' is given twice"),
        (["bench", "--out", "x", "--workers", "17"], "17 is not a thread count; give 1 to 16"),
        (["bench", "--out", "x", "--rounds", "0"], "'0' is not a whole number of at least 1"),
        (["bench", "--out", "x", "--load", "1.5"], "'1.5' is not a number between 0 and 1"),
        (["bench", "--out", "x", "--agreement", "-1"], "'-1' is not a whole number of at least 0"),
        (["bench", "--out", "x", "--seed", "-1"], "'-1' is not a whole number of at least 0"),
        (["bench", "--out", "x", "--agreement", "some"], "'some' is not a whole number of at least 0"),
        (["bench", "--out", "x", "--time-budget", "inf"], "'inf' is not a number of seconds above 0"),
        (
            ["bench", "--out", "x", "--parts", "whole,half"],
            "--parts: unknown part 'half'; there are whole, t3, s3gen, stages, fidelity, arrivals",
        ),
        (["bench", "--out", "x", "--parts", "t3,t3"], "--parts: 't3' is given twice"),
        (["bench", "--out", "x", "--device", "teapot"], "--device: 'teapot' cannot be used"),
        (["stress", "--out", "x", "--device", "teapot"], "--device: 'teapot' cannot be used"),
        (["audit", "stateless", "--out", "x", "--device", "teapot"], "--device: 'teapot' cannot be used"),
    ],
)
def test_a_wrong_argument_is_named(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("harness.commands.stress.quieten_upstream", lambda: None, raising=False)
    monkeypatch.setattr("harness.commands.bench.quieten_upstream", lambda: None, raising=False)
    monkeypatch.setattr("harness.commands.audit.quieten_upstream", lambda: None, raising=False)
    assert message in refused(words, capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_elses_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.commands.stress.quieten_upstream", lambda: None)
    (tmp_path / "thesis.txt").write_text("precious", encoding="utf-8")
    assert "holds 'thesis.txt'" in refused(["stress", "--out", str(tmp_path)], capsys)
    file = tmp_path / "thesis.txt"
    assert "cannot be used as a folder" in refused(["stress", "--out", str(file)], capsys)
    assert file.read_text(encoding="utf-8") == "precious"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "holds no saved result, nor does a folder below it"),
        ("{", "is not whole JSON"),
        (json.dumps({"version": "stress/0"}), "version 'stress/0' is not 'stress/1'"),
        (json.dumps([1]), "version None is not"),
        (json.dumps({"version": "stress/1"}), "has no 'cells'"),
        (
            json.dumps(
                {"version": "stress/1", "environment": {}, "cells": [{}], "verdicts": {}, "reasons": {}, "run": {}}
            ),
            "an entry is missing or of the wrong kind",
        ),
    ],
)
def test_a_saved_file_that_cannot_be_used_is_named(
    text: str | None, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if text is not None:
        (tmp_path / "stress.json").write_text(text, encoding="utf-8")
    assert message in refused(["report", str(tmp_path)], capsys)


def test_a_checkpoint_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    source = ModelSource("checkpoint", checkpoint=str(tmp_path))
    with pytest.raises(UsageError, match=r"--checkpoint: '.*' cannot be loaded: FileNotFoundError: "):
        source.load()


def test_a_script_that_leaves_when_it_is_imported_gives_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaving_script.py").write_text("raise SystemExit(0)", encoding="utf-8")
    for command, name in (("stress", "--subjects"), ("audit", None)):
        monkeypatch.setattr(f"harness.commands.{command}.quieten_upstream", lambda: None, raising=False)
        words = [command, *([name] if name else []), "leaving_script:model", "--out", str(tmp_path / "out")]
        assert "'leaving_script:model' cannot be imported: SystemExit: 0" in refused(words, capsys)


def test_a_factory_that_raises_is_one_line_and_the_references_keep_their_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd_factories.py").write_text(
        "from harness import Subject\n"
        "def broken(model): raise KeyError('weights')\n"
        "workload = Subject('workload', lambda request: request, (), (1,))\n",
        encoding="utf-8",
    )
    model: Any = None
    with pytest.raises(UsageError, match="subject 'odd_factories:broken': the factory raised KeyError: 'weights'"):
        build_subjects(["odd_factories:broken"], model)
    with pytest.raises(UsageError, match="no subject can be called 'workload'"):
        build_subjects(["odd_factories:workload"], model)


@pytest.mark.parametrize("running", [True, False])
def test_the_process_ends_with_its_status_whatever_is_still_running(
    running: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[int] = []
    monitor = type("TMonitor", (threading.Thread,), {"__module__": "tqdm._monitor"})
    threads = [threading.main_thread(), threading.Thread(daemon=True) if running else monitor(daemon=True)]
    monkeypatch.setattr("os._exit", left.append)
    monkeypatch.setattr("threading.enumerate", lambda: threads)
    with pytest.raises(SystemExit) as leaving:  # where the process would have ended, it goes on here
        leave(3)
    assert left == ([3] if running else [])
    assert leaving.value.code == 3


def test_an_error_nobody_foresaw_is_no_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("harness.commands.stress.quieten_upstream", lambda: None)
    monkeypatch.setattr("harness.commands.stress.observe", broken)
    (tmp_path / "stress.json").write_text('{"run": {"status": "SAFE"}}', encoding="utf-8")
    assert main(["stress", "--out", str(tmp_path)]) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_taken_over_with_what_a_killed_run_left_in_it(tmp_path: Path) -> None:
    for name in ("own.json", "own.json.unfinished", "seen.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "old.svg").touch()
    own = frozenset({"own.json", "seen.jsonl", "charts"})
    claim_folder(tmp_path, own)
    assert [path.name for path in tmp_path.iterdir()] == ["seen.jsonl"]
    (tmp_path / "foreign.json.unfinished").touch()
    with pytest.raises(UsageError, match=r"holds 'foreign\.json\.unfinished', which is not of a report"):
        claim_folder(tmp_path, own)
