from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.observations.gate_store import GateWriter, read_gate_observations
from tests.harness.gate_toys import make_rounds

if TYPE_CHECKING:
    from pathlib import Path


def test_observations_of_another_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.jsonl"
    path.write_text(json.dumps({"line": "version", "version": "gate-observations/9", "facts": {}}) + "\n")
    with pytest.raises(SavedFileError, match="version 'gate-observations/9' is not 'gate-observations/1'"):
        read_gate_observations(path)


@pytest.mark.parametrize("text", ["", "{", "[]\n", '{"version": "gate-observations/1"}\n{"line": "Round"}\n'])
def test_damaged_observations_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "raw.jsonl").write_text(text)
    with pytest.raises(SavedFileError):
        read_gate_observations(tmp_path / "raw.jsonl")


def test_a_killed_run_leaves_its_rounds(tmp_path: Path) -> None:
    writer = GateWriter(tmp_path / "raw.jsonl", {"a": 1})
    writer.add(make_rounds(1)[0])
    assert len(read_gate_observations(tmp_path / "raw.jsonl").rounds) == 1
    writer.__exit__(None, None, None)
