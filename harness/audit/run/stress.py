"""Plain concurrent runs: barrier starts with a short switch interval, compared with the sequential references."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.audit.deadline import Deadline
from harness.audit.result import StressSummary
from harness.audit.run import calls
from harness.audit.run.apart import Died, NoAnswer, run_apart
from harness.run.switching import switch_interval

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.run.calls import Outcome


def run_freely(
    call: Callable[[Any], Any],
    requests: Sequence[object],
    references: Sequence[Outcome],
    restore: Callable[[], object],
    threads: int,
    seconds: float,
) -> StressSummary:
    """Run batches of calls, all requests in turn, for about `seconds`; one batch at least."""
    end = Deadline(seconds)
    indices = [index % len(requests) for index in range(threads)]
    summary = StressSummary(threads)
    while summary.calls == 0 or not end.passed():
        restore()
        with switch_interval(calls.SWITCH_INTERVAL):
            batch = [requests[index] for index in indices]
            outcomes = calls.run_together(call, batch, _patience(references, threads))
        summary = counted(summary, outcomes, [references[index] for index in indices])
        if not all(outcome.finished for outcome in outcomes):
            break
    return summary


def counted(summary: StressSummary, outcomes: Sequence[Outcome], expected: Sequence[Outcome]) -> StressSummary:
    """`summary` with some more concurrent calls in it."""
    found = [calls.difference(outcome, reference) for outcome, reference in zip(outcomes, expected, strict=True)]
    wrong = [changed for changed in found if changed]
    example = summary.example or next(iter(wrong), "")
    unfinished = summary.unfinished + sum(not outcome.finished for outcome in outcomes)
    return replace(
        summary,
        calls=summary.calls + len(found),
        changed=summary.changed + len(wrong),
        example=example,
        unfinished=unfinished,
    )


def freely_apart(
    run: Callable[[], StressSummary], references: Sequence[Outcome], threads: int, seconds: float
) -> StressSummary:
    """Do `run` in a forked process, for calls that may end it: they exchange what shared tensors are made of."""
    found = run_apart(run, 10 * seconds + _patience(references, threads))
    if isinstance(found, Died):
        return StressSummary(threads, threads, threads, f"the process in which they ran died of {found.how}")
    return StressSummary(threads, 0, 0, found.why) if isinstance(found, NoAnswer) else found


def _patience(references: Sequence[Outcome], threads: int) -> float:
    """How long to wait for a batch, in seconds."""
    return 10 + 10 * max(reference.seconds for reference in references) * threads
