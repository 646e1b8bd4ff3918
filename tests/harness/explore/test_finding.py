from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.explore.finding import SEARCHED, Finding, load

if TYPE_CHECKING:
    from pathlib import Path


def finding() -> Finding:
    return Finding("mel-tables", SEARCHED, "", 5, 0.5, (0, 0, 1, 0), "thread 0 wrote", 10, 10)


def test_what_is_saved_is_read_back_and_told(tmp_path: Path) -> None:
    data, text = finding().save(tmp_path)
    assert load(data) == finding()
    assert "Played again 10 times, broken 10 times." in text.read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "explore/0"}, "version 'explore/0' is not 'explore/1'"),
        ({"versions": {"python": "2.7.18"}}, "this one is of python 2.7.18"),
        ({"versions": {"another": "1.0"}}, r"this one is of another 1\.0 \(here None\)"),
        ({"versions": None}, "cannot be read as an interleaving"),
        ({"schedule": None}, "cannot be read as an interleaving"),
    ],
)
def test_a_file_that_cannot_be_played_says_why(tmp_path: Path, change: dict[str, object], message: str) -> None:
    data, _ = finding().save(tmp_path)
    data.write_text(json.dumps({**json.loads(data.read_text()), **change}))
    with pytest.raises(SavedFileError, match=message):
        load(data)
