from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from harness.errors import SavedFileError
from harness.gate.floors import PUBLISHED, choose_floor
from harness.observations.gate_store import CALIBRATION_VERSION
from harness.verdict.gate.answers import Floor

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"cpu": "A CPU", "cores": 2}


def calibration(path: Path, factor: float = 1.1, *, short: bool = True, **environment: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    found = {
        "version": CALIBRATION_VERSION, "aa_floor": {"cpu/stateless/1": factor}, "command": {"short": short},
        "environment": {**HERE, **environment},
    }  # fmt: skip
    path.write_text(json.dumps(found), encoding="utf-8")
    return path


def chosen(folder: Path, asked: Path | None = None) -> Floor:
    return choose_floor(asked, folder / "out", folder, HERE, short=True)


def test_the_folders_own_calibration_is_preferred_over_the_published_one(tmp_path: Path) -> None:
    calibration(tmp_path / PUBLISHED, 1.1)
    assert chosen(tmp_path) == Floor(PUBLISHED.as_posix(), {"cpu/stateless/1": 1.1})
    calibration(tmp_path / "out" / "calibration.json", 1.2)
    assert chosen(tmp_path) == Floor("out/calibration.json", {"cpu/stateless/1": 1.2})
    calibration(tmp_path / "out" / "calibration.json", cores=8)
    assert chosen(tmp_path).source == PUBLISHED.as_posix()
    asked = calibration(tmp_path / "mine.json", 1.3)
    assert chosen(tmp_path, asked) == Floor("mine.json", {"cpu/stateless/1": 1.3})


@pytest.mark.parametrize(
    ("other", "why_not"),
    [
        ({"cpu": "Another"}, "cpu 'Another'"),
        ({"cores": 64}, "cores 64"),
        ({"short": False}, "full gates"),
        ({"cpu": "Another", "short": False}, "cpu 'Another', full gates"),
    ],
)
def test_a_calibration_of_another_machine_or_kind_sets_no_floor_and_is_named(
    tmp_path: Path, other: dict[str, Any], why_not: str
) -> None:
    for asked in (None, calibration(tmp_path / PUBLISHED, **other)):
        floor = chosen(tmp_path, asked)
        assert (floor.source, floor.per_metric) == (None, {})
        assert floor.as_json()["rule"] == f"5 %; no floor was measured: {PUBLISHED} has {why_not}"
        assert floor.as_json()["floor"] is None


def test_without_a_calibration_there_is_no_floor(tmp_path: Path) -> None:
    assert chosen(tmp_path).as_json()["rule"] == "5 %; no floor was measured: there is no calibration"
    with pytest.raises(SavedFileError, match=r"mine\.json: cannot be read"):
        chosen(tmp_path, tmp_path / "mine.json")
