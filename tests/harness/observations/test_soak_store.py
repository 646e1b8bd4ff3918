from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.observations.soak_store import SoakWriter, read_soak
from harness.run.soak.records import BatchCycle, BatchRun, SegmentEnding, SoakReference, SoakRound, Submission

if TYPE_CHECKING:
    from pathlib import Path

REFERENCE = SoakReference("r", "a", "f", 10, 0.1)
ENDING = SegmentEnding(0, False, error=("ValueError", "Exception"), message="why", file_error=("OSError",))
ROUND = SoakRound(
    "soak", 3, 1.5, True, (Submission(0, "r", "cancelled"),), (ENDING,), ((0, "cancelled"),), ("a",), ("b",), 9.5, 1, 2
)
CYCLE = BatchCycle(
    {"1": "a"}, (BatchRun("SIGINT", True, 130, False, {}, {"1": "a"}, ("p",), {"1": "failed"}, {"1": "e"}),)
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "observations.jsonl"
    with SoakWriter(path) as writer:
        writer.references([REFERENCE])
        writer.round(ROUND)
        writer.cycle(CYCLE)
        seen = read_soak(path)
    assert seen.references == {"r": REFERENCE}
    assert seen.rounds == (ROUND,)
    assert seen.cycles == (CYCLE,)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "no json",
        '{"line": "version", "version": "soak-observations/9"}',
        "[]",
        '{"line": "version", "version": "soak-observations/1"}\n{"line": "round"}',
    ],
)
def test_what_is_damaged_or_of_another_version_is_told(tmp_path: Path, content: str) -> None:
    (tmp_path / "o.jsonl").write_text(content, encoding="utf-8")
    with pytest.raises(SavedFileError, match=r"o\.jsonl: "):
        read_soak(tmp_path / "o.jsonl")
    with pytest.raises(SavedFileError):
        read_soak(tmp_path / "absent.jsonl")
