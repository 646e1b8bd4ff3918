"""A saved result comes back as it was, or there is one clear line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.verdict.saved import load_result, save_result

if TYPE_CHECKING:
    from pathlib import Path

RESULT = {"version": "toy/1", "environment": {"cpu": "any"}, "rounds": [1.5, None]}


def test_what_was_saved_comes_back(tmp_path: Path) -> None:
    path = save_result(RESULT, tmp_path / "new" / "toy.json")
    assert load_result(path, "toy/1", needed=("environment",)) == RESULT
    assert [file.name for file in path.parent.iterdir()] == ["toy.json"]


def test_a_value_that_json_lacks_is_saved_as_its_text(tmp_path: Path) -> None:
    path = save_result({"version": "toy/1", "where": tmp_path}, tmp_path / "toy.json")
    assert load_result(path, "toy/1")["where"] == str(tmp_path)


def test_saving_again_never_leaves_half_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_result(RESULT, tmp_path / "toy.json")

    def full(self: Path, text: str, **_: object) -> int:
        self.write_bytes(text[:20].encode())
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_text", full)
    with pytest.raises(OSError, match="No space"):
        save_result({**RESULT, "rounds": []}, path)
    assert load_result(path, "toy/1") == RESULT
    assert [file.name for file in tmp_path.iterdir()] == ["toy.json"]


WHOLE = json.dumps(RESULT)
DAMAGED = "is not whole JSON, damaged or cut off: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((WHOLE[:length], f"toy.json: {DAMAGED}") for length in (0, 1, 20, len(WHOLE) - 1)),
        ("\udcff", f"toy.json: {DAMAGED}"),
        ("[" * 100_000, f"toy.json: {DAMAGED}"),
        ("[]", "toy.json: version None is not 'toy/1', which this harness reads"),
        ('{"version": "toy/2"}', "toy.json: version 'toy/2' is not 'toy/1', which this harness reads"),
        ('{"version": "toy/1"}', "toy.json: has no 'environment'"),
    ],
)
def test_a_file_that_cannot_be_used_is_told_in_one_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "toy.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(SavedFileError) as caught:
        load_result(path, "toy/1", needed=("environment", "rounds"))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SavedFileError, match=r"toy\.json: cannot be read: No such file"):
        load_result(tmp_path / "toy.json", "toy/1")


def test_the_version_may_have_another_name(tmp_path: Path) -> None:
    path = save_result({"schema": 1}, tmp_path / "toy.json")
    assert load_result(path, 1, key="schema") == {"schema": 1}
    with pytest.raises(SavedFileError, match="schema 1 is not 2"):
        load_result(path, 2, key="schema")
