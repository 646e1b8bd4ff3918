from __future__ import annotations

from typing import Any

from harness.report.charts.rounds import rounds


def cell(turn: int, workers: int = 1, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - entries of the cell
    calls = [{"error": None}, {"error": "raised"}]
    whole = {"part": "whole", "subject": "stateless", "workers": workers, "round": turn, "calls": calls}
    return {**whole, "wall_s": 2.0, "not_run": None, **more}


def test_each_number_of_workers_has_a_panel() -> None:
    chart = rounds([cell(0), cell(1), cell(1, 4)])
    assert chart is not None
    svg = chart.svgs["light"].decode()
    assert "<!-- 1 worker -->" in svg
    assert "<!-- 4 workers -->" in svg


def test_what_was_not_timed_in_a_round_is_left_out() -> None:
    others = [cell(-1), cell(0, part="t3"), cell(0, not_run="no time left"), cell(0, wall_s=0.0)]
    assert rounds(others) is None
