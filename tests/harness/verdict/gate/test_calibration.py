from __future__ import annotations

from typing import Any

import pytest

from harness.observations.gate_store import GateObservations
from harness.verdict.gate.calibration import Block, calibration_json, floor_of, share_of
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
    return calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), SHARES, 12.0, resampled=4)


def test_no_block_is_used_twice_and_planted_slow_downs_are_seen() -> None:
    found = calibration()
    by_name = {one["name"]: one for one in found["conditions"]}
    assert [by_name[name]["gates"]["gates"] for name in ("A/A", "+10 %", "+20 %")] == [2, 2, 2]
    assert by_name["A/A"]["first_runs"]["gates"] == 5
    assert (by_name["A/A"]["gates"]["fail"], by_name["+20 %"]["gates"]["fail"]) == (0, 2)
    assert by_name["+20 %"]["resampled"] == {
        "kind": "resampled", "gates": 4, "fail": 4, "inconclusive": 0, "pass": 0, "fail_share": 1.0
    }  # fmt: skip


def test_a_block_that_was_cut_off_is_left_out() -> None:
    rounds = with_injected(make_rounds(run=1), SHARES) + with_injected(make_rounds(3, run=2), SHARES)
    found = calibration_json(GateObservations(FACTS, (), (), tuple(rounds)), SHARES, 1.0)
    assert found["blocks"] == 1
    assert found["conditions"][0]["gates"] == {
        "kind": "consecutive", "gates": 0, "fail": 0, "inconclusive": 0, "pass": 0,
        "fail_share": None, "fail_low": None, "fail_high": None,
    }  # fmt: skip


def test_what_is_measured_is_near_what_was_injected() -> None:
    found = calibration()
    measured = {one["metric"]: one for one in found["conditions"][2]["measured"]}
    assert measured["throughput/stateless/4"]["median"] == pytest.approx(1.2, abs=0.01)


def test_a_block_does_not_vouch_for_itself() -> None:
    quiet, odd = (Block(make_rounds(slower=factor, noise=1e-4), (0.0,)) for factor in (1.0, 1.5))
    assert floor_of([quiet, odd]).per_metric["cpu/stateless/1"] == pytest.approx(1.5, abs=0.01)
    assert floor_of([quiet, odd], {1}).per_metric["cpu/stateless/1"] == pytest.approx(1.0, abs=0.01)


def test_a_busy_hour_sets_no_floor() -> None:
    busy = Block(make_rounds(slower=1.5, foreign=0.6), (0.0,))
    assert not busy.fit
    assert floor_of([busy]).per_metric == {}


def test_shares_have_exact_intervals() -> None:
    assert share_of(0, 10) == {"fail_share": 0.0, "fail_low": 0.0, "fail_high": pytest.approx(0.3085, abs=1e-4)}
    assert share_of(10, 10)["fail_low"] == pytest.approx(0.6915, abs=1e-4)
