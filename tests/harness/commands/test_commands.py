"""Bad input: one clear line, exit status 2, no traceback."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.commands import main
from harness.errors import UsageError
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
