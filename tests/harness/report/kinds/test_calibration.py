from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.report.draw import draw_report
from harness.report.kinds.calibration import KIND
from tests.harness.report import samples

if TYPE_CHECKING:
    from pathlib import Path

Counts = tuple[int, int, float, float]


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("same", "slow", "status", "tone"),
    [
        ((500, 0, 0.0, 0.007), (500, 495, 0.97, 1.0), "GOAL MET", "good"),
        ((7, 0, 0.0, 0.41), (7, 7, 0.59, 1.0), "WITHIN THE GOAL", "unsure"),
        ((7, 0, 0.0, 0.41), (500, 495, 0.97, 1.0), "WITHIN THE GOAL", "unsure"),
        ((500, 0, 0.0, 0.007), (7, 7, 0.59, 1.0), "WITHIN THE GOAL", "unsure"),
        ((7, 1, 0.004, 0.58), (7, 7, 0.59, 1.0), "OUTSIDE THE GOAL", "unsure"),
        ((7, 4, 0.2, 0.9), (7, 7, 0.59, 1.0), "GOAL MISSED", "bad"),
        ((7, 0, 0.0, 0.41), (7, 2, 0.1, 0.7), "GOAL MISSED", "bad"),
    ],
)
def test_few_gates_neither_meet_nor_miss_the_goal(same: Counts, slow: Counts, status: str, tone: str) -> None:
    part = KIND.part(samples.calibration_result(same, slow))
    assert (part.status, part.tone) == (status, tone)
    assert f"{same[1]} of {same[0]} gates failed a revision against itself" in part.summary


@pytest.mark.usefixtures("undrawn")
def test_a_condition_that_is_missing_is_not_made_up() -> None:
    result = samples.calibration_result()
    assert KIND.part({**result, "conditions": result["conditions"][:1]}).status == "NOT MEASURED"
    none = {
        "gates": 0,
        "fail": 0,
        "inconclusive": 0,
        "pass": 0,
        "fail_share": None,
        "fail_low": None,
        "fail_high": None,
    }
    short = [{**condition, "gates": none} for condition in result["conditions"]]
    part = KIND.part({**result, "conditions": short})
    assert part.status == "NOT MEASURED"
    assert part.sections[0].table is not None
    assert [row[1].text for row in part.sections[0].table.rows] == [
        "first runs", "first runs, both ways", "all pairs of runs", "first runs", "all pairs of runs"
    ]  # fmt: skip


def test_every_way_of_counting_has_its_row(tmp_path: Path) -> None:
    samples.save_calibration(tmp_path)
    draw_report(tmp_path)
    svg = (tmp_path / "charts" / "calibration.svg").read_text(encoding="utf-8")
    assert "<!-- all pairs of runs -->" in svg
    table = KIND.part(KIND.load(tmp_path)).sections[0].table
    assert table is not None
    assert [[field.text for field in row] for row in table.rows][:4] == [
        ["A/A", "whole gates", "7", "0", "0", "7", "0.0 %", "0.0 to 41.0 %"],
        ["A/A", "first runs", "7", "0", "0", "7", "0.0 %", "0.0 to 41.0 %"],
        ["A/A", "first runs, both ways", "7", "0", "0", "7", "0.0 %", "0.0 to 41.0 %"],
        ["A/A", "all pairs of runs", "182", "0", "1", "181", "0.0 %", "-"],
    ]


@pytest.mark.usefixtures("undrawn")
def test_what_a_model_says_stands_apart_from_what_was_counted() -> None:
    part = KIND.part(samples.calibration_result())
    counted, modelled = part.sections[:2]
    assert "Counted by if_independent." not in counted.text
    assert modelled.text == ("Counted by if_independent.",)
    assert modelled.table is not None
    assert [field.text for field in modelled.table.rows[0]] == ["A/A", "0.00 %", "16.81 %"]
