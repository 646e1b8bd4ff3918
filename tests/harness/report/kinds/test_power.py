from __future__ import annotations

import pytest

from harness.report.kinds.power import KIND
from tests.harness.report import samples


@pytest.mark.parametrize(
    ("caught", "alarms", "status", "tone"),
    [(1, 0, "ALL CAUGHT", "good"), (None, 0, "FAULTS MISSED", "bad"), (1, 2, "FALSE ALARMS", "bad")],
)
def test_the_headline_is_what_was_missed_and_what_was_imagined(
    caught: int | None, alarms: int, status: str, tone: str
) -> None:
    part = KIND.part(samples.power_result(caught=caught, alarms=alarms))
    assert (part.status, part.tone) == (status, tone)
    assert f"with {alarms} false alarms in 200 runs" in part.summary


def test_each_detector_has_its_column() -> None:
    faults, clean, said, _ = KIND.part(samples.power_result(caught=3)).sections
    assert faults.table is not None
    assert faults.table.heads == ("Fault", "What is wrong", "concurrent", "after")
    assert [field.text for field in faults.table.rows[0]] == ["shared-voice", "It is shared.", "run 3", "not in 4"]
    assert clean.table is not None
    assert len(clean.table.rows) == 2
    assert said.table is not None
    assert [[field.text for field in row] for row in said.table.rows] == [["shared-voice", "concurrent", "value"]]
