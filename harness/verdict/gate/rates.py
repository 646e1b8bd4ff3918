"""How often a gate says FAIL, told from the answers of runs in four ways; each says what it takes for granted.

A gate is two runs, and says FAIL only if one metric fails in both. `runs` below are a calibration's blocks, each from
fresh processes; `answer(first, second)` is what the gate says whose two runs those blocks are.
"""

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest

from harness.verdict.bench.statistics import CONFIDENCE
from harness.verdict.gate.answers import Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

RESAMPLES = 2000
Shared = dict[str, float | None]


def count(answers: Sequence[Answer]) -> dict[str, Any]:
    """Count `answers` that do not depend on each other; the interval is Clopper and Pearson's."""
    fail = sum(answer is Answer.FAIL for answer in answers)
    return {**_tally(answers), **exact_share(fail, len(answers))}


def count_pairs(blocks: int, answer: Callable[[int, int], Answer]) -> dict[str, Any]:
    """Count every ordered pair of different blocks.

    A block is in many pairs, so the interval comes from blocks drawn again, and there is none where all pairs agree:
    what was never seen to differ cannot be drawn.
    """
    answers = {pair: answer(*pair) for pair in permutations(range(blocks), 2)}
    found = _tally(list(answers.values()))
    if not answers:
        return {**found, "fail_share": None, "fail_low": None, "fail_high": None}
    failed = np.zeros((blocks, blocks))
    for (first, second), said in answers.items():
        failed[first, second] = said is Answer.FAIL
    share = float(failed.sum() / len(answers))
    low, high = (None, None) if share in {0.0, 1.0} else _block_bootstrap(failed)
    return {**found, "fail_share": share, "fail_low": low, "fail_high": high}


def bound_if_independent(first: Mapping[str, Any], metric: Mapping[str, Any]) -> dict[str, float | None]:
    """Bound how often a gate says FAIL by taking its two runs for independent of each other.

    At most: both runs have to say FAIL, so no oftener than the square of how often one does. At least: it does if one
    metric, chosen before anything was measured, fails in both.

    Args:
        first: how often one run says FAIL, as `count` tells it.
        metric: how often that metric makes it, likewise.
    """
    high, low = first["fail_high"], metric["fail_low"]
    return {"at_least": None if low is None else low**2, "at_most": None if high is None else high**2}


def exact_share(hits: int, total: int) -> Shared:
    """Return `hits` of `total` as a share with its Clopper-Pearson 95 % interval."""
    if not total:
        return {"fail_share": None, "fail_low": None, "fail_high": None}
    found = binomtest(hits, total).proportion_ci(confidence_level=CONFIDENCE, method="exact")
    return {"fail_share": hits / total, "fail_low": float(found.low), "fail_high": float(found.high)}


def _tally(answers: Sequence[Answer]) -> dict[str, int]:
    kinds = {"fail": Answer.FAIL, "inconclusive": Answer.INCONCLUSIVE, "pass": Answer.PASS}
    return {"gates": len(answers), **{name: answers.count(kind) for name, kind in kinds.items()}}


def _block_bootstrap(failed: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> tuple[float, float]:
    """Draw blocks again, and take all pairs of different blocks among those drawn."""
    generator = np.random.default_rng(0)
    blocks = len(failed)
    different = 1 - np.eye(blocks)
    times = generator.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES).astype(np.float64)
    pairs = np.einsum("ri,ij,rj->r", times, different, times)
    hits = np.einsum("ri,ij,rj->r", times, failed, times)
    # All draws of one block have no pair in them; with the few blocks for which that happens, they are left out.
    shares = hits[pairs > 0] / pairs[pairs > 0]
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(shares, (tail, 1 - tail))
    return float(low), float(high)
