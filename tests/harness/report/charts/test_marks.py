from __future__ import annotations

import pytest
from matplotlib.figure import Figure

from harness.report.charts.marks import count_axis, draw_cores, draw_ideal, draw_law, draw_target
from harness.report.theme import LIGHT, subject_look
from tests.harness.report.charts.lines import xs, ys


def test_the_law_goes_through_what_it_was_fitted_to() -> None:
    axes = Figure().subplots()
    law = {"rate": 2.0, "contention": 0.1, "coherence": 0.01}
    draw_law(axes, law, subject_look("stateless", []), 16, LIGHT)
    counts, rates = xs(axes.lines[0]), ys(axes.lines[0])
    assert (counts[0], rates[0]) == (1.0, 2.0)
    assert counts[-1] == 16.0
    assert rates[-1] == pytest.approx(2.0 * 16 / (1 + 0.1 * 15 + 0.01 * 16 * 15))


def test_target_ideal_and_cores_stand_where_they_belong() -> None:
    axes = Figure().subplots()
    draw_target(axes, 2.0, LIGHT)
    (star,) = [line for line in axes.lines if line.get_marker() == "*"]
    assert (xs(star), ys(star)) == ([4.0], [2.0])
    draw_ideal(axes, 16, LIGHT)
    assert xs(axes.lines[-1]) == ys(axes.lines[-1]) == [1.0, 16.0]
    (handle,) = draw_cores(axes, 2, LIGHT)
    assert xs(axes.lines[-1]) == [2.0, 2.0]
    assert handle.get_label() == "2 cores"
    assert draw_cores(axes, None, LIGHT) == []


@pytest.mark.parametrize(
    ("counts", "labels"),
    [((1, 4, 16), ["1", "4", "16"]), ((1, 2, 4, 8, 10, 12, 16), ["1", "2", "4", "8", "", "", "16"])],
)
def test_crowded_counts_are_labelled_sparsely(counts: tuple[int, ...], labels: list[str]) -> None:
    axes = Figure().subplots()
    count_axis(axes, counts, "workers")
    assert [label.get_text() for label in axes.get_xticklabels()] == labels
