"""Stages beside the limits of the machine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.run.bench.records import ENGINE_FLOW, BenchCall, LimitMeasurement
from harness.verdict.bench.stages import least_steps, limits_table, stages_table, where_time_goes
from tests.harness import bench_toys


def test_a_stage_is_told_beside_both_limits() -> None:
    seen = bench_toys.observations()
    rows = stages_table(seen.stages, seen.cells, seen.limits, seen.model)
    stock = rows[0]
    assert stock["seconds"] == 0.25
    assert stock["gb_per_s"] == pytest.approx(8.0)
    assert stock["of_memory_limit"] == pytest.approx(0.2)
    assert stock["of_arithmetic_limit"] == pytest.approx(0.04)
    assert stock["nearer_limit"] == "memory"
    assert limits_table(seen.limits)["memory"]["best"] == 40.0
    flow = replace(seen.stages[0], stage=ENGINE_FLOW)
    assert [stock["subject"], stages_table([flow], [], seen.limits, seen.model)[0]["subject"]] == ["stock", "engine"]
    again = replace(seen.limits[0], rates=(20.0,))
    assert limits_table([*seen.limits, again])["memory"] == {"best": 40.0, "unit": "GB/s", "rates": [30.0, 40.0, 20.0]}


def test_the_limit_of_bfloat16_is_at_least_that_of_float32() -> None:
    seen = bench_toys.observations()
    half = replace(seen.stages[0], dtype="bfloat16")
    for rate, share in ((25.0, 0.04), (400.0, 0.02)):  # without instructions for it, and with some
        limits = [
            *(one for one in seen.limits if one.name != "bfloat16"),
            LimitMeasurement("bfloat16", "GFLOP/s", (rate,)),
        ]
        assert stages_table([half], [], limits, seen.model)[0]["of_arithmetic_limit"] == pytest.approx(share)
        assert limits_table(limits)["bfloat16"]["best"] == rate


def test_a_batched_step_shares_the_weights() -> None:
    seen = bench_toys.observations()
    rows = stages_table(seen.stages, seen.cells, seen.limits, seen.model)
    engine = next(row for row in rows if row["subject"] == "engine-fp32")
    # 4 requests of 50 tokens in 13 s: 50 steps of 0.26 s.
    assert engine["seconds"] == pytest.approx(0.26)
    cache = 500_000 * 75 * 4
    assert engine["gb_per_s"] == pytest.approx((2e9 + cache) / 1e9 / 0.26)
    assert engine["gflop_per_s"] == pytest.approx(4 * 2 / 0.26)


def test_steps_are_those_of_calls_that_followed_each_other() -> None:
    def call(tokens: int, started_s: float, ended_s: float) -> BenchCall:
        return BenchCall(0, started_s, started_s, ended_s, tokens=tokens)

    # Two callers: one says 30 and then 10, the other 20 and then 25.
    two = [call(30, 0.0, 3.0), call(20, 0.0, 2.0), call(25, 2.0, 5.0), call(10, 3.0, 4.0)]
    assert least_steps(two) == 45
    assert least_steps(two[:2]) == 30
    assert least_steps([]) == 0
    assert least_steps([call(30, 0.0, 3.0), replace(call(0, 3.0, 4.0), tokens=None, error="OSError: no")]) == 30


def test_where_time_goes_is_per_second_of_audio() -> None:
    shares = {entry["subject"]: entry["seconds_per_audio_s"] for entry in where_time_goes(
        bench_toys.observations().cells, bench_toys.RATE)}  # fmt: skip
    # 10 s and 20 s for 2 s of audio each.
    assert shares["engine-fp32"]["speech_tokens"] == pytest.approx(0.6 * 7.5)
