"""The engine's speech tokens beside stock's, and how the cost of a token grows along an utterance."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any

from harness.verdict.bench.statistics import CONFIDENCE, estimate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import BenchCell, TokenComparison, TokenCost

# Measured marginal costs are noisy: growth may exceed what attention requires by this factor.
GROWTH_TOLERANCE = 1.25
LEAST_COSTS = 3
WHOLE = "whole"
PAIRS = (("engine-fp32", "sequential", "float32"), ("engine-bf16", "sequential-bf16", "bfloat16"))


def agreement_table(comparisons: Sequence[TokenComparison]) -> list[dict[str, Any]]:
    """Return one entry per profile and dtype: how many utterances have the very tokens of stock."""
    entries = []
    for profile, dtype in dict.fromkeys((one.profile, one.dtype) for one in comparisons):
        mine = [one for one in comparisons if (one.profile, one.dtype) == (profile, dtype)]
        same = sum(one.same for one in mine)
        entries.append(
            {
                "profile": profile,
                "dtype": dtype,
                "utterances": len(mine),
                "same": same,
                "share": same / len(mine),
                "share_at_least": _lower_bound(same, len(mine)),
                "tokens": sum(one.stock_tokens for one in mine),
                "first_differences": [one.first_difference for one in mine if one.first_difference is not None],
            }
        )
    return entries


def agreement_in_cells(cells: Sequence[BenchCell]) -> list[dict[str, Any]]:
    """Return the same of the measured model itself: every request that stock and the engine both spoke, once."""
    entries = []
    for engine, stock, dtype in PAIRS:
        theirs, ours = (_digests(cells, name) for name in (stock, engine))
        both = sorted(set(theirs) & set(ours))
        if both:
            same = sum(theirs[place] == ours[place] for place in both)
            entries.append(
                {
                    "profile": "this run's model",
                    "dtype": dtype,
                    "utterances": len(both),
                    "same": same,
                    "share": same / len(both),
                    "share_at_least": _lower_bound(same, len(both)),
                    "tokens": sum(tokens for _, tokens in (theirs[place] for place in both)),
                    "first_differences": [],
                }
            )
    return entries


def _digests(cells: Sequence[BenchCell], subject: str) -> dict[int, tuple[str, int]]:
    return {
        call.request: (call.tokens_sha256, call.tokens)
        for cell in cells
        for call in cell.calls
        if cell.part == WHOLE and cell.subject == subject and call.tokens_sha256 and call.tokens
    }


def token_cost_table(costs: Sequence[TokenCost]) -> list[dict[str, Any]]:
    """Return per dtype the marginal cost of a token early and late, and the growth that attention requires.

    A step reads all weights and the request's cache. Where reading bounds it, its cost may grow as those bytes do.
    Early and late are compared within one repeat; told are the medians over repeats. One that was disturbed, at
    whichever length, moves neither.
    """
    entries = []
    for dtype in dict.fromkeys(cost.dtype for cost in costs):
        by_length = _by_length([cost for cost in costs if cost.dtype == dtype])
        if len(by_length) < LEAST_COSTS:
            continue
        first, middle, last = by_length[0], by_length[len(by_length) // 2], by_length[-1]
        early = [_slope(*ends) for ends in zip(first, middle, strict=False)]  # a run cut off has no last repeat
        late = [_slope(*ends) for ends in zip(middle, last, strict=False)]
        required = _read(middle[0], last[0]) / _read(first[0], middle[0])
        grown = estimate([after / before for before, after in zip(early, late, strict=False) if before > 0])
        # A later token cannot cost much less than an early one: where it seems to, noise was measured.
        known = grown if grown is not None and grown.median > 1 / GROWTH_TOLERANCE else None
        entries.append(
            {
                "dtype": dtype,
                "tokens": [repeats[0].tokens for repeats in by_length],
                "seconds": [median(cost.seconds for cost in repeats) for repeats in by_length],
                "early_s_per_token": median(early),
                "late_s_per_token": median(late),
                "growth": known and known.median,
                "growth_low": known and known.low,
                "growth_high": known and known.high,
                "repeats": len(late) if grown is None else grown.rounds,
                "required_growth": required,
                "tolerance": GROWTH_TOLERANCE,
                "met": None if known is None else known.median <= required * GROWTH_TOLERANCE,
            }
        )
    return entries


def _by_length(costs: Sequence[TokenCost]) -> list[list[TokenCost]]:
    """Return the repeats of each length, ascending: the n-th of one belongs to the n-th of every other."""
    lengths = sorted({cost.tokens for cost in costs})
    return [[cost for cost in costs if cost.tokens == tokens] for tokens in lengths]


def _slope(first: TokenCost, last: TokenCost) -> float:
    return (last.seconds - first.seconds) / (last.tokens - first.tokens)


def _read(first: TokenCost, last: TokenCost) -> float:
    """Bytes that a step between the two reads on average."""
    return first.weight_bytes + (first.past_bytes + last.past_bytes) / 2


def _lower_bound(hits: int, count: int) -> float:
    """Clopper and Pearson's one-sided lower bound of a share."""
    from scipy.stats import beta  # noqa: PLC0415 - takes a second to import

    return float(beta.ppf(1 - CONFIDENCE, hits, count - hits + 1)) if hits else 0.0
