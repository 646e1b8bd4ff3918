"""Sequential references from the same state, and whether the calls are deterministic at all."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.audit.run.calls import Outcome, Worker, difference, run

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.deadline import Deadline
    from harness.audit.state.checkpoint import Checkpoint

REPEATS = 2
IN_THE_WAY = 32


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


def make_references(
    call: Callable[[Any], Any],
    requests: Sequence[object],
    checkpoint: Checkpoint,
    look: Callable[[], None] = lambda: None,
) -> References:
    """Run every request from the same state, the quickest twice, one of them in a thread of its own as well.

    Then they run one after another without putting back.

    Args:
        call: the subject's call.
        requests: what to call it with.
        checkpoint: puts the state back.
        look: called before the calls in which nothing is put back, and after each of them.
    """
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
    # torch keeps its grad mode, autocast and default device for each thread. A call that goes by what this thread has
    # would fail next to any other, and nothing that is written would be to blame.
    changed = _differs_in_a_thread_of_its_own(call, requests[quickest[0]], outcomes[quickest[0]], checkpoint)
    if changed:
        return References(tuple(outcomes), unstable=changed)
    return References(tuple(outcomes), carried=_carried(call, requests, outcomes, quickest, checkpoint, look))


def _carried(
    call: Callable[[Any], Any],
    requests: Sequence[object],
    outcomes: Sequence[Outcome],
    order: Sequence[int],
    checkpoint: Checkpoint,
    look: Callable[[], None],
) -> str:
    checkpoint.restore()
    look()
    found = []
    for index in (*order, order[0]):
        changed = difference(run(call, requests[index]), outcomes[index])
        look()
        if changed:
            found.append(f"request {index}: {changed}")
    checkpoint.restore()
    return "; ".join(found)


def differs_by_itself(
    call: Callable[[Any], Any],
    requests: Sequence[object],
    outcomes: Sequence[Outcome],
    checkpoint: Checkpoint,
    deadline: Deadline,
) -> str:
    """How a call that runs alone, in a thread of its own and at other addresses, differs; empty if it does not.

    Kernels may add up in another order where memory is aligned otherwise. Concurrent calls differ then too, and it is
    not one call that changes the other.
    """
    sizes = random.Random(0)  # noqa: S311 - of tensors that lie in the way
    in_the_way: list[torch.Tensor] = []
    while not deadline.passed():
        for request, outcome in zip(requests, outcomes, strict=True):
            in_the_way = [*in_the_way[-IN_THE_WAY:], torch.empty(sizes.randrange(1, 4096))]
            changed = _differs_in_a_thread_of_its_own(call, request, outcome, checkpoint)
            if changed:
                return changed
    return ""


def _differs_in_a_thread_of_its_own(
    call: Callable[[Any], Any], request: object, outcome: Outcome, checkpoint: Checkpoint
) -> str:
    checkpoint.restore()
    changed = difference(Worker(call, request).start().wait(10 + 10 * outcome.seconds), outcome)
    return f"run alone in a thread of its own, {changed}" if changed else ""


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


@dataclass(frozen=True)
class Pairs:
    """Pairs of requests for the trials, by index: who is held, and who runs meanwhile.

    Attributes:
        ordered: the quickest request with one as unlike it as possible, the other way round, then the rest.
        for_same_object: first those as alike as possible: they are the ones that get at the same object behind a
            slot which unlike requests bind anew.
    """

    ordered: tuple[tuple[int, int], ...]
    for_same_object: tuple[tuple[int, int], ...]

    def first_only(self) -> Pairs:
        return Pairs(self.ordered[:1], self.for_same_object[:1])


def choose_pairs(requests: Sequence[object], outcomes: Sequence[Outcome]) -> Pairs:
    """Choose pairs for the trials; two requests with the same output make none as long as there are others."""
    order = sorted(range(len(requests)), key=lambda index: outcomes[index].seconds)
    first = order[0]
    others = [index for index in order if difference(outcomes[index], outcomes[first])] or [first]
    quick = [index for index in others if outcomes[index].seconds <= 3 * outcomes[first].seconds] or others[:1]
    unlike = max(quick, key=lambda index: _unlikeness(requests[first], requests[index]))
    alike = min(quick, key=lambda index: _unlikeness(requests[first], requests[index]))
    rest = [(one, other) for one in order for other in order if one != other]
    both = [(first, unlike), (unlike, first)]
    same = [(first, alike), (alike, first)]
    return Pairs(tuple(dict.fromkeys([*both, *same, *rest])), tuple(dict.fromkeys([*same, *both, *rest])))
