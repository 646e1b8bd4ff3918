from __future__ import annotations

import random
from dataclasses import replace

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
    assert slope.ok
    assert slope.low < 0 < slope.high
    assert slope.rounds == 15


def test_a_leak_is_growth_and_its_size_is_told() -> None:
    slope = memory_slope(rounds(20, 10))
    assert slope is not None
    assert not slope.ok
    assert slope.low < 200 < slope.high, "10 MiB for each 50 segments"


def test_growth_that_is_steady_but_small_is_noise() -> None:
    slope = memory_slope(rounds(20, 0.5, 0.0))
    assert slope is not None
    assert slope.low > 0
    assert slope.drift_high_mib < 20
    assert slope.ok


def test_falling_memory_is_no_growth() -> None:
    slope = memory_slope(rounds(20, -10))
    assert slope is not None
    assert slope.ok


def test_few_rounds_tell_nothing() -> None:
    assert memory_slope(rounds(5, 0)) is None
    assert memory_slope([]) is None


def test_threads_are_counted_by_name() -> None:
    last = replace(ROUND, threads_after=("a", "a", "b", "c"))
    assert threads_left([ROUND, last]) == ["a", "c"]
    assert threads_left([ROUND]) == threads_left([]) == []
