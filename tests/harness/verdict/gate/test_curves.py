from __future__ import annotations

from harness.verdict.gate.curves import memory_lines, scaling_curves
from tests.harness.gate_toys import SPEED, make_rounds


def test_a_curve_for_each_revision_with_its_interval() -> None:
    base, head = scaling_curves(make_rounds(noise=0.02))
    assert (base["revision"], head["revision"]) == ("base", "head")
    assert base["contention_low"] <= base["contention"] <= base["contention_high"]
    assert base["points"][0][0] == 1
    assert abs(base["points"][0][1] - SPEED[1]) < 0.5


def test_a_line_for_each_revision_with_its_interval() -> None:
    base, head = memory_lines(make_rounds(grown_mib=3.0))
    assert abs(head["slope"] - base["slope"] - 3.0) < 0.2
    assert base["low"] <= base["slope"] <= base["high"]
