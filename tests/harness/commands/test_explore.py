from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from harness.commands import main

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["explore"], "give either a HAZARD or --replay FILE"),
        (["explore", "mel-tables"], "--out: say where"),
        (["explore", "none-such", "--out", "x"], "no hazard 'none-such'"),
    ],
)
def test_wrong_usage_says_what_is_missing(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_a_search_finds_the_race_and_a_later_run_replays_it(tmp_path: Path) -> None:
    assert main(["explore", "mel-tables", "--out", str(tmp_path)]) == 0
    found = tmp_path / "mel-tables.json"
    saved = json.loads(found.read_text())
    assert (saved["replays"], saved["reproduced"]) == (10, 10)
    assert "hann_window" in saved["explanation"]
    command = [sys.executable, "-m", "harness", "explore", "--replay", str(found)]
    again = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "played again 10 times, broken 10 times" in again.stdout
