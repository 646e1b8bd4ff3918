from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from harness.report.charts.history import MOST_LABELS, _draw_line, over_commits
from harness.report.theme import LIGHT
from tests.harness.report.charts.lines import xs


def line(count: int, *, machine: str = "desk", step_at: int | None = None) -> dict[str, Any]:
    commits = [f"{place:040x}" for place in range(count)]
    values = [1.0 if step_at is None or place < step_at else 0.8 for place in range(count)]
    points = [
        {"commit": commit, "date": "2026", "value": value, "low": value - 0.1, "high": value + 0.1}
        for commit, value in zip(commits, values, strict=True)
    ]
    step = {
        "commit": commits[step_at or 0],
        "place": step_at,
        "before": 1.0,
        "after": 0.8,
        "p_value": 0.001,
        "worse": True,
    }
    steps = [step] if step_at is not None else []
    return {
        "machine": machine, "commits": commits, "medians": values, "points": points, "steps": steps,
        "commits_missing": max(0, 10 - count),
    }  # fmt: skip


def test_a_step_is_drawn_between_the_commits_it_lies_between() -> None:
    axes = Figure().subplots()
    _draw_line(axes, line(12, step_at=7), LIGHT, narrow=False)
    upright = [xs(each) for each in axes.lines if len(xs(each)) > 1 and len(set(xs(each))) == 1]
    assert upright == [[6.5, 6.5]]
    assert [text.get_text() for text in axes.texts] == ["-20 %"]
    low, high = axes.get_ylim()
    assert low < 0.7
    assert high > 1.1


def test_many_commits_are_labelled_sparsely() -> None:
    for narrow in (False, True):
        axes = Figure().subplots()
        _draw_line(axes, line(200), LIGHT, narrow=narrow)
        assert 2 < len(axes.get_xticks()) <= MOST_LABELS[narrow]


def test_each_machine_has_a_panel_and_few_commits_are_mentioned() -> None:
    metric = {"name": "toy/4/speedup", "better": "higher", "lines": [line(12, step_at=6), line(3, machine="cloud")]}
    chart = over_commits("history-1", metric)
    svg = chart.svgs["light"].decode()
    assert "<!-- desk -->" in svg
    assert "<!-- cloud -->" in svg
    assert "<!-- step for the worse -->" in svg
    assert "<!-- step for the better -->" not in svg
    assert "too few commits" in chart.caption
