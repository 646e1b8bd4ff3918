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
@pytest.mark.parametrize(
    ("hazard", "place"), [("mel-tables", "hann_window"), ("shared-conditionals", "Conditionals.t3")]
)
def test_a_search_finds_the_race_and_a_later_run_replays_it(hazard: str, place: str, tmp_path: Path) -> None:
    harness = [sys.executable, "-m", "harness", "explore"]
    subprocess.run([*harness, hazard, "--out", str(tmp_path)], check=True, capture_output=True)
    saved = json.loads((tmp_path / f"{hazard}.json").read_text())
    assert (saved["replays"], saved["reproduced"]) == (10, 10)
    assert place in saved["explanation"]
    if hazard == "mel-tables":  # whatever was searched for is played again in one way
        again = subprocess.run(
            [*harness, "--replay", str(tmp_path / f"{hazard}.json")], check=True, capture_output=True, text=True
        )
        assert "played again 10 times, broken 10 times" in again.stdout
