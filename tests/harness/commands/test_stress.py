"""The whole command, on upstream's own classes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.commands import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.usefixtures("undrawn")  # its charts have tests of their own
def test_stateless_is_safe_and_the_same_run_catches_stock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.commands.stress.quieten_upstream", lambda: None)  # for the whole process
    words = ["--subjects", "upstream-shared,stateless", "--threads", "2", "--utterances", "2", "--out", str(tmp_path)]
    status, said = main(["stress", *words]), capsys.readouterr()
    assert status == 0, said.out + said.err
    result = json.loads((tmp_path / "stress.json").read_text(encoding="utf-8"))
    assert result["verdicts"] == {"upstream-shared": "UNSAFE", "stateless": "SAFE"}
    assert result["control"]["matched"] == result["control"]["requests"] == 2
    assert str(tmp_path / "index.html") in said.out
    assert "\nSAFE: stateless is SAFE" in said.out
