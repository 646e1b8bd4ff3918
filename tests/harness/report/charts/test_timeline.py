"""A bar per call, from its start to its end; its full part as long as the request took alone."""

from __future__ import annotations

from typing import Any

import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from harness.report.charts.timeline import WAITING_ALPHA, _draw_cell, timeline
from harness.report.theme import LIGHT, OUTCOMES


def call(worker: int, start: float | None, end: float | None, outcome: str = "identical") -> dict[str, Any]:
    return {"worker": worker, "request": 0, "started_s": start, "ended_s": end, "alone_s": 1.0, "outcome": outcome}


def convoy(threads: int = 4) -> dict[str, Any]:
    """Calls behind one lock, the last thread being served first."""
    calls = [call(worker, 0.0, float(threads - worker)) for worker in range(threads)]
    return {"subject": "upstream-locked", "threads": threads, "workers": threads, "wall_s": 4.0, "calls": calls}


def bars(cell: dict[str, Any]) -> list[tuple[float, float, float, bool, str]]:
    """Return row, start, length, whether it is pale, and colour of every bar that has a length."""
    axes = Figure().subplots()
    _draw_cell(axes, cell, LIGHT)
    return [
        (bar.get_y() + bar.get_height() / 2, bar.get_x(), bar.get_width(), bar.get_alpha() == WAITING_ALPHA,
         to_hex(bar.get_facecolor()))
        for bar in axes.patches
        if isinstance(bar, Rectangle) and bar.get_width()
    ]  # fmt: skip


def test_a_lock_convoy_is_a_staircase() -> None:
    full = [(row, start, length) for row, start, length, pale, _ in bars(convoy()) if not pale]
    assert sorted(full) == [pytest.approx((row, float(row), 1.0)) for row in range(4)]
    waiting = [(row, start, length) for row, start, length, pale, _ in bars(convoy()) if pale]
    assert sorted(waiting) == [pytest.approx((row, 0.0, float(row))) for row in range(1, 4)]


def test_a_call_that_never_ended_lasts_as_long_as_it_was_watched_and_one_that_never_began_has_no_bar() -> None:
    cell = {**convoy(), "calls": [call(0, 1.0, None, "hang"), call(-1, None, None, "not_started")]}
    drawn = bars(cell)
    assert {bar[4] for bar in drawn} == {OUTCOMES["hangs"][1].light}
    assert max(start + length for _, start, length, _, _ in drawn) == 4.0


def test_each_outcome_seen_is_in_the_legend() -> None:
    cell = {**convoy(), "calls": [call(0, 0.0, 1.0), call(1, 0.0, 1.0, "shape")]}
    svg = timeline([cell]).svgs["light"].decode()
    assert "<!-- bit-identical -->" in svg
    assert "<!-- shape corruption -->" in svg
    assert "<!-- other crash -->" not in svg
