"""The fit finds the numbers that a curve was made of."""

from __future__ import annotations

import pytest

from harness.verdict.bench.scaling_law import ScalingLaw, fit_scaling_law

WORKERS = (1, 2, 4, 8, 16)


@pytest.mark.parametrize(("rate", "contention", "coherence"), [(2.0, 0.1, 0.01), (0.05, 0.4, 0.0), (30.0, 0.0, 0.02)])
def test_it_finds_the_numbers_again(rate: float, contention: float, coherence: float) -> None:
    truth = ScalingLaw(rate, contention, coherence, None, None)
    found = fit_scaling_law(WORKERS, [truth.at(count) for count in WORKERS])
    assert found is not None
    assert found.rate == pytest.approx(rate, rel=1e-3)
    assert found.contention == pytest.approx(contention, abs=1e-3)
    assert found.coherence == pytest.approx(coherence, abs=1e-4)
    assert found.r_squared == pytest.approx(1.0)


def test_the_best_number_of_workers_is_where_the_curve_is_highest() -> None:
    truth = ScalingLaw(1.0, 0.04, 0.01, None, None)
    found = fit_scaling_law(WORKERS, [truth.at(count) for count in WORKERS])
    assert found is not None
    assert found.best_workers is not None
    best = found.best_workers
    assert best == pytest.approx(9.8, abs=0.1)
    assert found.at(best) > max(found.at(best - 1), found.at(best + 1))


def test_a_curve_that_falls_is_best_with_one_worker() -> None:
    for contention, coherence in ((1.05, 0.003), (0.99, 0.2), (1.5, 0.0)):
        truth = ScalingLaw(1.0, contention, coherence, None, None)
        found = fit_scaling_law(WORKERS, [truth.at(count) for count in WORKERS])
        assert found is not None
        assert found.best_workers == 1.0


def test_what_does_not_scale_is_flat_and_two_points_are_no_curve() -> None:
    flat = fit_scaling_law(WORKERS, [3.0] * 5)
    assert flat is not None
    assert flat.contention == pytest.approx(1.0, abs=1e-3)
    assert fit_scaling_law((1, 2), (1.0, 2.0)) is None
    assert fit_scaling_law((1, 2, 4), (1.0, 0.0, 2.0)) is None
    assert fit_scaling_law((), ()) is None
