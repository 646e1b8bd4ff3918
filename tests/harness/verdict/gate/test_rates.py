from __future__ import annotations

import pytest

from harness.verdict.gate.answers import Answer
from harness.verdict.gate.rates import bound_if_independent, count, count_pairs, exact_share

FAIL, PASS, OPEN = Answer.FAIL, Answer.PASS, Answer.INCONCLUSIVE


def pairs_of(runs: str) -> dict[str, float | None]:
    """Count the pairs of runs of which `F` are those that fail."""
    return count_pairs(len(runs), lambda one, two: FAIL if runs[one] == runs[two] == "F" else PASS)


def test_shares_have_exact_intervals() -> None:
    assert exact_share(0, 10) == {"fail_share": 0.0, "fail_low": 0.0, "fail_high": pytest.approx(0.3085, abs=1e-4)}
    assert exact_share(10, 10)["fail_low"] == pytest.approx(0.6915, abs=1e-4)
    assert count([FAIL, OPEN, PASS, PASS]) == {
        "gates": 4, "fail": 1, "inconclusive": 1, "pass": 2, **exact_share(1, 4)
    }  # fmt: skip


def test_every_ordered_pair_is_counted_once() -> None:
    asked: list[tuple[int, int]] = []

    def answer(first: int, second: int) -> Answer:
        asked.append((first, second))
        return FAIL if first < second else OPEN

    found = count_pairs(4, answer)
    assert (found["gates"], found["fail"], found["inconclusive"], found["fail_share"]) == (12, 6, 6, 0.5)
    assert len(set(asked)) == 12
    assert all(first != second for first, second in asked)


def test_blocks_drawn_again_give_the_interval_of_pairs() -> None:
    half = pairs_of("FP" * 20)
    assert half["fail_share"] == pytest.approx(0.25, abs=0.01)
    assert half["fail_low"] is not None
    assert half["fail_high"] is not None
    # The share is about p squared, and p of 40 is known to within 1.96 * sqrt(0.25 / 40).
    assert half["fail_low"] == pytest.approx((0.5 - 0.155) ** 2, abs=0.04)
    assert half["fail_high"] == pytest.approx((0.5 + 0.155) ** 2, abs=0.04)
    # As many pairs from fewer blocks would be surer than they are, were pairs drawn in place of blocks.
    few = pairs_of("FP" * 4)
    assert few["fail_low"] is not None
    assert few["fail_low"] < half["fail_low"] - 0.05


@pytest.mark.parametrize("runs", ["FFFFF", "PPPPP"])
def test_pairs_that_all_agree_have_no_interval(runs: str) -> None:
    found = pairs_of(runs)
    assert (found["fail_share"], found["fail_low"], found["fail_high"]) == (float(runs[0] == "F"), None, None)


@pytest.mark.parametrize("blocks", [0, 1])
def test_without_a_pair_there_is_no_share(blocks: int) -> None:
    assert count_pairs(blocks, lambda *_pair: FAIL) == {
        "gates": 0, "fail": 0, "inconclusive": 0, "pass": 0, "fail_share": None, "fail_low": None, "fail_high": None
    }  # fmt: skip


def test_independent_runs_fail_together_as_often_as_squares_tell() -> None:
    first, metric = count([FAIL] * 8 + [PASS] * 2), count([FAIL] * 7 + [PASS] * 3)
    bound = bound_if_independent(first, metric)
    assert bound == {"at_least": metric["fail_low"] ** 2, "at_most": first["fail_high"] ** 2}
    assert bound_if_independent(count([]), count([])) == {"at_least": None, "at_most": None}
