from __future__ import annotations

from typing import Any

import pytest

from harness.observations.gate_store import GateObservations
from harness.verdict.gate.calibration import Block, calibration_json, floor_of
from tests.harness.gate_toys import make_rounds, with_injected

SHARES = (0.0, 0.1, 0.2)
FACTS: dict[str, Any] = {
    "environment": {"cpu": "A CPU", "cores": 2, "date": "2026-01-01T00:00:00+00:00"},
    "command": {"rounds": 8, "short": True},
    "base": {"commit": "f" * 40},
    "head": {"commit": "f" * 40, "dirty": False, "note": ""},
}


def calibration(blocks: int = 5, noise: float = 0.005) -> dict[str, Any]:
    rounds = []
    for run in range(1, blocks + 1):
        rounds += with_injected(make_rounds(run=run, seed=run, noise=noise), SHARES, noise=noise, seed=run)
    return calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), 12.0)


def test_no_block_is_used_twice_and_planted_slow_downs_are_seen() -> None:
    found = calibration()
    by_name = {one["name"]: one for one in found["conditions"]}
    assert [by_name[name]["gates"]["gates"] for name in ("A/A", "+10 %", "+20 %")] == [2, 2, 2]
    assert by_name["A/A"]["first_runs"]["gates"] == 5
    assert (by_name["A/A"]["gates"]["fail"], by_name["+20 %"]["gates"]["fail"]) == (0, 2)
    assert (by_name["A/A"]["all_pairs"]["fail"], by_name["+20 %"]["all_pairs"]["fail"]) == (0, 20)
    assert {one["failed_runs"] for one in by_name["A/A"]["measured"]} == {0}
    assert {one["metric"]: one["failed_runs"] for one in by_name["+20 %"]["measured"]}["cpu/stateless/1"] == 5


def test_if_runs_are_independent_the_ends_are_squares_of_exact_ones() -> None:
    by_name = {one["name"]: one for one in calibration()["conditions"]}
    low, high = by_name["+20 %"]["first_runs"]["fail_low"], by_name["A/A"]["both_ways"]["fail_high"]
    assert by_name["A/A"]["if_independent"] == {"at_least": 0.0, "at_most": pytest.approx(high**2)}
    assert by_name["+20 %"]["if_independent"] == {"at_least": pytest.approx(low**2), "at_most": 1.0}


def test_equal_revisions_are_judged_both_ways() -> None:
    rounds = []
    for run in range(1, 5):
        # Head is the faster one in the first of four blocks: a false alarm, had it been called base.
        rounds += make_rounds(run=run, seed=run, slower=0.8 if run == 1 else 1.0)
    (same,) = calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), 1.0)["conditions"]
    assert (same["first_runs"]["gates"], same["first_runs"]["fail"]) == (4, 0)
    assert (same["both_ways"]["gates"], same["both_ways"]["fail"]) == (8, 1)
    assert calibration()["conditions"][1]["both_ways"] is None


def test_a_block_counts_where_it_took_turns() -> None:
    rounds = with_injected(make_rounds(run=1), SHARES) + make_rounds(run=2, seed=2)
    found = calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), 1.0)
    assert [one["first_runs"]["gates"] for one in found["conditions"]] == [2, 1, 1]
    assert [one["rounds"] for one in found["conditions"]] == [16, 8, 8]


def test_a_block_that_was_cut_off_is_left_out() -> None:
    rounds = with_injected(make_rounds(run=1), SHARES) + with_injected(make_rounds(3, run=2), SHARES)
    found = calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), 1.0)
    assert found["blocks"] == 1
    assert found["conditions"][0]["gates"] == {
        "gates": 0, "fail": 0, "inconclusive": 0, "pass": 0,
        "fail_share": None, "fail_low": None, "fail_high": None,
    }  # fmt: skip


def test_what_is_measured_is_near_what_was_injected() -> None:
    found = calibration()
    measured = {one["metric"]: one for one in found["conditions"][2]["measured"]}
    assert measured["throughput/stateless/4"]["median"] == pytest.approx(1.2, abs=0.01)


def test_a_block_does_not_vouch_for_itself() -> None:
    quiet, odd = (Block(make_rounds(slower=factor, noise=1e-4)) for factor in (1.0, 1.5))
    assert floor_of([quiet, odd]).per_metric["cpu/stateless/1"] == pytest.approx(1.5, abs=0.01)
    assert floor_of([quiet, odd], (odd,)).per_metric["cpu/stateless/1"] == pytest.approx(1.0, abs=0.01)


def test_a_busy_hour_sets_no_floor() -> None:
    busy = Block(make_rounds(slower=1.5, foreign=0.6))
    assert not busy.fit
    assert floor_of([busy]).per_metric == {}
