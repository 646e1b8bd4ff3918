"""Steps are found where they are, noise makes none, and too few points say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from harness.verdict.steps import LEAST_POINTS, SIGNIFICANCE, find_steps


def noise(count: int, seed: int, level: float = 1.0) -> list[float]:
    return list(np.random.default_rng(seed).normal(level, 0.02, count))


def test_a_step_is_found_at_its_place_with_what_lies_before_and_after() -> None:
    (step,) = find_steps([*noise(9, 1), *noise(8, 2, level=0.8)])
    assert step.place == 9
    assert step.before == pytest.approx(1.0, abs=0.02)
    assert step.after == pytest.approx(0.8, abs=0.02)
    assert step.p_value < SIGNIFICANCE


def test_two_steps_are_found_in_their_order() -> None:
    steps = find_steps([*noise(12, 3), *noise(12, 4, level=1.3), *noise(12, 5, level=1.6)])
    assert [step.place for step in steps] == [12, 24]
    assert steps[0].after == steps[1].before == pytest.approx(1.3, abs=0.02)


def test_noise_alone_makes_hardly_any_step() -> None:
    # 60 series at 1 %: four or more of them are seen once in 300 such tests; the seeds are fixed, so it is never.
    assert sum(bool(find_steps(noise(20, seed))) for seed in range(60)) < 4


def test_one_outlier_is_no_step() -> None:
    series = noise(20, 7)
    series[11] = 3.0
    assert find_steps(series) == ()


def test_the_clearest_step_in_too_few_points_is_not_told() -> None:
    half = LEAST_POINTS // 2
    clear = [*(1.0 + place / 1000 for place in range(half)), *(9.0 + place / 1000 for place in range(half))]
    assert [step.place for step in find_steps(clear)] == [half]
    assert find_steps(clear[1:]) == ()


@pytest.mark.parametrize("series", [[], [1.0], [2.0] * 30])
def test_nothing_to_tell(series: list[float]) -> None:
    assert find_steps(series) == ()


def test_the_same_series_gives_the_same_steps() -> None:
    series = [*noise(15, 8), *noise(15, 9, level=1.02)]
    assert find_steps(series) == find_steps(series)
