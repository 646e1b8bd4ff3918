"""Medians, intervals, and how many samples a percentile needs."""

from __future__ import annotations

import pytest

from harness.verdict.bench.statistics import LEAST_FOR_INTERVAL, estimate, percentile_or_floor, samples_needed


def test_an_interval_holds_the_median_and_lies_within_the_values() -> None:
    found = estimate([1.0, 1.2, 1.1, 5.0, 1.15, 1.05])
    assert found is not None
    assert found.median == pytest.approx(1.125)
    assert found.low is not None
    assert found.high is not None
    assert 1.0 <= found.low < found.median < found.high <= 5.0
    # One odd round in six does not move the median far.
    assert found.low < 1.1
    assert estimate([1.0, 1.2, 1.1, 5.0, 1.15, 1.05]) == found


def test_of_too_few_rounds_for_an_interval_the_range_is_told() -> None:
    values = [3.0, 1.0, 2.0, 10.0, 2.5, 2.6]
    for count in range(2, LEAST_FOR_INTERVAL):
        found = estimate(values[:count])
        assert found is not None
        assert (found.low, found.high) == (min(values[:count]), max(values[:count]))
    sure = estimate(values)
    assert sure is not None
    assert sure.high is not None
    assert sure.high < 10.0


def test_one_round_has_no_interval_and_none_has_no_median() -> None:
    found = estimate([2.5])
    assert found is not None
    assert (found.median, found.low, found.high, found.rounds) == (2.5, None, None, 1)
    assert estimate([]) is None


@pytest.mark.parametrize(("percentile", "needed"), [(50, 11), (90, 64), (99, 662)])
def test_the_floors_are_those_of_mlperf_loadgen(percentile: float, needed: int) -> None:
    assert samples_needed(percentile) == needed


def test_a_percentile_is_told_from_its_floor_on_and_not_before() -> None:
    values = [float(value) for value in range(64)]
    assert percentile_or_floor(values[:-1], 90.0) == (None, 64)
    told, needed = percentile_or_floor(values, 90.0)
    assert told == pytest.approx(56.7)
    assert needed == 64
    assert percentile_or_floor(values, 99.0) == (None, 662)
