from __future__ import annotations

import random
from dataclasses import replace

import pytest

from harness.run.soak.records import SegmentEnding, SoakRound
from harness.verdict.soak.growth import memory_slope, threads_left

ENDINGS = tuple(SegmentEnding(index, True) for index in range(50))
ROUND = SoakRound("soak", 0, 1.0, False, (), ENDINGS, (), ("a", "b"), ("a", "b"), 2000.0, 0, 0)


def rounds(count: int, leak_mib: float, noise_mib: float = 5.0) -> list[SoakRound]:
    source = random.Random(1)
    return [
        replace(ROUND, memory_mib=2000 + leak_mib * place + source.uniform(-noise_mib, noise_mib))
        for place in range(count)
    ]


def test_noise_is_no_growth() -> None:
    slope = memory_slope(rounds(20, 0))
    assert slope is not None
    assert not slope.grows
    assert slope.tells
    assert slope.low < 0 < slope.high
    assert slope.rounds == 15


def test_a_leak_is_growth_and_its_size_is_told() -> None:
    slope = memory_slope(rounds(20, 10))
    assert slope is not None
    assert slope.grows
    assert slope.tells
    assert slope.low < 200 < slope.high, "10 MiB for each 50 segments"


def test_growth_that_is_steady_but_small_is_noise() -> None:
    slope = memory_slope(rounds(20, 0.5, 0.0))
    assert slope is not None
    assert slope.low > 0
    assert slope.drift_high_mib < 20
    assert not slope.grows


def test_falling_memory_is_no_growth() -> None:
    slope = memory_slope(rounds(20, -10))
    assert slope is not None
    assert not slope.grows


@pytest.mark.parametrize("noise_mib", [0.5, 5.0])
def test_the_least_leak_that_would_have_been_seen_is_seen_and_less_is_not(noise_mib: float) -> None:
    quiet = memory_slope(rounds(20, 0, noise_mib))
    assert quiet is not None
    per_round = quiet.least_seen * len(ENDINGS) / 1000
    for leak, grows in ((1.02 * per_round, True), (0.98 * per_round, False)):
        slope = memory_slope(rounds(20, leak, noise_mib))
        assert slope is not None
        assert slope.grows is grows


def test_noise_that_hides_a_leak_tells_nothing() -> None:
    loud = memory_slope(rounds(20, 0, 100.0))
    assert loud is not None
    assert not loud.grows
    assert not loud.tells


def test_few_rounds_tell_nothing() -> None:
    assert memory_slope(rounds(5, 0)) is None
    assert memory_slope([]) is None


def test_threads_are_counted_by_name() -> None:
    last = replace(ROUND, threads_after=("a", "a", "b", "c"))
    assert threads_left([ROUND, last]) == ["a", "c"]
    assert threads_left([ROUND]) == threads_left([]) == []
