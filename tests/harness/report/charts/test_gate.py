"""The forest puts head's ratio on the right side of 1, and tells controls and A/A from what is judged."""

from __future__ import annotations

import math
import re

import pytest
from matplotlib.figure import Figure

from harness.report.charts.gate import ANSWERS, _draw_ratio, _span, forest, revisions, rounds
from harness.report.theme import LIGHT
from tests.harness.report import samples
from tests.harness.report.charts.lines import xs, ys


def labels(svg: bytes) -> list[str]:
    """Return the texts of a chart, in the order of drawing."""
    return [text.replace("&lt;", "<").replace("&amp;", "&").replace("&gt;", ">") for text in re.findall(
        r"<!-- (.*?) -->", svg.decode()
    )]  # fmt: skip


def test_a_worse_head_lies_right_of_one_with_its_rounds_and_threshold() -> None:
    axes = Figure().subplots()
    row = samples.gate_metric("x", [0.2, 0.25, 0.3], answer="FAIL")
    _draw_ratio(axes, 3, row, 1.03, LIGHT)
    spans = [xs(line) for line in axes.lines]
    assert [row["low"], row["high"]] in spans
    assert [1 / 1.03, 1.03] in spans
    assert [1.05, 1.05] in spans
    for value in (0.2, 0.25, 0.3):
        assert [math.exp(value)] in spans
    median = next(line for line in axes.lines if line.get_marker() == ANSWERS["FAIL"].marker)
    assert (xs(median), ys(median)) == ([row["median"]], [3.0])


def test_controls_stand_below_the_metrics_and_the_floor_last() -> None:
    chart = forest([samples.gate_run()], samples.gate_result()["aa_floor"])
    assert chart is not None
    text = labels(chart.svgs["light"])
    order = [
        text.index(name) for name in ("cpu/stateless/4 <&>", "control/memory <&>", "A/A floor: same revision twice")
    ]
    assert order == sorted(order)
    assert "A/A floor, at most 1.05" in text
    assert set(chart.svgs) == {"light", "dark", "light-narrow", "dark-narrow"}


def test_without_a_calibration_there_is_no_floor() -> None:
    chart = forest([samples.gate_run()], None)
    assert chart is not None
    assert not [text for text in labels(chart.svgs["light"]) if "A/A" in text]


def test_the_axis_goes_as_far_as_the_worst_round() -> None:
    assert _span([samples.gate_run(worse=1.0)], 1.05) > math.exp(1.01)
    assert _span([samples.gate_run(worse=-1.0)], 1.05) > math.exp(1.01)


@pytest.mark.parametrize("worse", [0.0, 0.3, 1.5, 4.0])
def test_ticks_are_few_enough_not_to_touch(worse: float) -> None:
    chart = forest([samples.gate_run(worse=worse)] * 2, None)
    assert chart is not None
    ticks = [text for text in labels(chart.svgs["light"]) if re.fullmatch(r"\d+(\.\d+)?", text)]
    assert "1" in ticks
    assert len(ticks) <= 14


def test_nothing_to_draw_gives_no_chart() -> None:
    empty = {**samples.gate_run(), "metrics": [], "controls": []}
    assert forest([], None) is None
    assert forest([empty], None) is None
    assert rounds(empty) is None
    assert revisions("law", "Scaling", [], "utterances per second") is None


def test_each_kind_of_metric_has_its_panel_of_rounds() -> None:
    chart = rounds(samples.gate_run())
    assert chart is not None
    text = labels(chart.svgs["light"])
    assert text.count("times as bad") == 3
    assert "control/arithmetic <&>" in text
