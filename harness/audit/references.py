"""Sequential references from the same state, and whether the calls are deterministic at all."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.audit.calls import Outcome, difference, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.checkpoint import Checkpoint

REPEATS = 2


@dataclass(frozen=True)
class References:
    """What the calls return when nothing else runs.

    Attributes:
        outcomes: one per request, each from the state the audit found.
        failed: the message of the first call that raised, or an empty string.
        unstable: how a repeated call differed from its first run although it started from the same state.
        carried: how a call differs when another one ran before it.
    """

    outcomes: tuple[Outcome, ...]
    failed: str = ""
    unstable: str = ""
    carried: str = ""


def make_references(call: Callable[[Any], Any], requests: Sequence[object], checkpoint: Checkpoint) -> References:
    """Run every request from the same state, the quickest twice, then one after another without putting back."""
    outcomes = []
    for index, request in enumerate(requests):
        checkpoint.restore()
        outcomes.append(run(call, request))
        if outcomes[-1].error:
            return References(tuple(outcomes), failed=f"request {index}: {outcomes[-1].error}")
    quickest = sorted(range(len(requests)), key=lambda index: outcomes[index].seconds)[:REPEATS]
    for index in quickest:
        checkpoint.restore()
        changed = difference(run(call, requests[index]), outcomes[index])
        if changed:
            return References(tuple(outcomes), unstable=f"request {index} run again: {changed}")
    return References(tuple(outcomes), carried=_carried(call, requests, outcomes, quickest, checkpoint))


def _carried(
    call: Callable[[Any], Any],
    requests: Sequence[object],
    outcomes: Sequence[Outcome],
    order: Sequence[int],
    checkpoint: Checkpoint,
) -> str:
    checkpoint.restore()
    found = []
    for index in (*order, order[0]):
        changed = difference(run(call, requests[index]), outcomes[index])
        if changed:
            found.append(f"request {index}: {changed}")
    checkpoint.restore()
    return "; ".join(found)


def _unlikeness(one: object, other: object) -> int:
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        names = [field.name for field in dataclasses.fields(one)]
        return sum(_unequal(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, dict) and isinstance(other, dict):
        return sum(_unequal(one.get(name), other.get(name)) for name in one.keys() | other.keys())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple) and len(one) == len(other):
        return sum(map(_unequal, one, other))
    return 1


def _unequal(one: object, other: object) -> bool:
    try:
        return bool(one != other)
    except (RuntimeError, ValueError):
        return True  # tensors and arrays


def choose_pairs(requests: Sequence[object], outcomes: Sequence[Outcome]) -> tuple[tuple[int, int], ...]:
    """Pairs of requests for the trials: the quickest with one as unlike it as possible, and the other way round."""
    order = sorted(range(len(requests)), key=lambda index: outcomes[index].seconds)
    first = order[0]
    others = [index for index in order if difference(outcomes[index], outcomes[first])] or [first]
    quick = [index for index in others if outcomes[index].seconds <= 3 * outcomes[first].seconds] or others[:1]
    second = max(quick, key=lambda index: _unlikeness(requests[first], requests[index]))
    return ((first, second), (second, first)) if first != second else ((first, first),)
