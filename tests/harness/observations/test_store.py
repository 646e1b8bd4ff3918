from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING

import pytest

from harness import SavedFileError
from harness.observations.store import ObservationWriter, read_observations
from tests.harness import toys

if TYPE_CHECKING:
    from pathlib import Path


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    release = threading.Event()
    seen = [
        toys.observe(toys.shared_cache()),
        toys.observe(toys.clean()),
        toys.observe(toys.hanging(release), patience_s=0.5),
    ]
    release.set()
    for observations in seen:
        path = tmp_path / "observations.jsonl"
        with ObservationWriter(path) as writer:
            for key, calls in observations.references.items():
                writer.references(key, calls)
            for cell in observations.cells:
                writer.cell(cell)
        assert read_observations(path) == observations


@pytest.mark.parametrize(
    "text",
    ["", "not json\n", json.dumps({"version": "observations/0"}), json.dumps([1]),
     '{"version": "observations/1"}\n{"line": "call"}\n'],
)  # fmt: skip
def test_a_file_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "observations.jsonl"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SavedFileError, match=r"observations\.jsonl"):
        read_observations(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SavedFileError, match="cannot be read"):
        read_observations(tmp_path / "observations.jsonl")
