from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import SavedFileError
from harness.report.kinds.audit import KIND
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_and_shared_draws_come_worst_first_with_what_mends_them(tmp_path: Path) -> None:
    samples.save_audit(tmp_path)
    part = KIND.part(KIND.load(tmp_path))
    assert (part.status, part.tone, part.counted) == ("UNSAFE", "bad", False)
    writes, draws, stress, own, guarded, environment = part.sections
    assert writes.table is not None
    assert [[field.text for field in row] for row in writes.table.rows] == [
        ["model.conds", "attribute rebinding", "a.py:1", "harmful", "an output changed", "lock: holds"],
        ["model.cache (and 2 more paths)", "container item", "b.py:2", "undecided", "undecided: no time", "-"],
    ]
    assert [row[3].tone for row in writes.table.rows] == ["bad", "unsure"]
    assert draws.table is not None
    assert [row[0].text for row in draws.table.rows] == ["aten::randn"]
    assert stress.text == ("7 of 10 calls on 8 threads changed. For example: its output has another shape.",)
    assert own.table is not None
    assert [row[0].text for row in own.table.rows] == ["aten::rand"]
    assert guarded.table is not None
    assert environment.title == "Environment"


@pytest.mark.parametrize(
    ("subject", "counted"),
    [("stateless", True), ("engine-fp32", True), ("f5-stateless", True), ("f5-upstream", False), ("whisper", False)],
)
def test_only_this_projects_subjects_count_for_the_headline(subject: str, counted: bool) -> None:
    assert KIND.part(samples.audit_result(subject).as_json()).counted is counted


def test_a_file_of_another_schema_is_named(tmp_path: Path) -> None:
    samples.save_audit(tmp_path)
    file = tmp_path / "audit.json"
    file.write_text(file.read_text(encoding="utf-8").replace('"schema": 1', '"schema": 7'), encoding="utf-8")
    with pytest.raises(SavedFileError, match=r"audit\.json: schema 7 is not 1"):
        KIND.load(tmp_path)
