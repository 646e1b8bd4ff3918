from __future__ import annotations

import math

import pytest

from harness.run.gate.records import BASE, HEAD
from harness.verdict.gate.samples import controls_of, memory_points, metrics_of, slopes, throughput_points
from tests.harness.gate_toys import make_rounds, with_injected


def test_positive_is_worse_for_every_kind() -> None:
    samples = {one.name: one for one in metrics_of(make_rounds(slower=1.5, noise=0.001, grown_mib=5.0))}
    for name in ("throughput/stateless/1", "cpu/stateless/16", "memory/slope", "memory/peak"):
        assert min(samples[name].worse_log) > 0.2, name
    assert samples["throughput/stateless/1"].base[0] == pytest.approx(
        1.5 * samples["throughput/stateless/1"].head[0], 0.02
    )


def test_the_law_does_not_move_when_everything_slows_down_alike() -> None:
    samples = {one.name: one for one in metrics_of(make_rounds(slower=1.5, noise=1e-6))}
    for name in ("law/contention", "law/coherence"):
        assert samples[name].worse_log == pytest.approx([0.0] * 8, abs=1e-3)


def test_an_injected_slow_down_is_read_from_its_own_turns() -> None:
    rounds = with_injected(make_rounds(noise=0.001), (0.0, 0.2), noise=0.001)
    for share in (0.0, 0.2):
        one = next(found for found in metrics_of(rounds, share) if found.name == "throughput/stateless/4")
        assert one.worse_log == pytest.approx([math.log1p(share)] * 8, abs=0.01)


def test_controls_and_points_are_per_round() -> None:
    rounds = make_rounds(control=1.2, control_noise=1e-6)
    assert [one.name for one in controls_of(rounds)] == ["control/memory", "control/arithmetic"]
    assert controls_of(rounds)[0].worse_log == pytest.approx([math.log(1.2)] * 8, abs=1e-4)
    assert {workers: len(values) for workers, values in throughput_points(rounds, BASE).items()} == {1: 8, 4: 8, 16: 8}
    assert slopes(memory_points(rounds, HEAD)) == pytest.approx([6.0] * 8, abs=0.1)


def test_nothing_comes_of_nothing() -> None:
    assert metrics_of([]) == ()
    assert controls_of([]) == ()
