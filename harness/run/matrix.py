"""The whole matrix: references first, then every subject at every thread count."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.errors import ReferenceFailedError
from harness.run.cell import SWITCH_INTERVAL_S, CellPlan, run_cell
from harness.run.records import CallRecord, CellMeasurement, Ending
from harness.run.taps import StageTaps
from harness.run.threads import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.subject import Subject

WORKLOAD = "workload"
LEAST_PATIENCE_S = 60.0


@dataclass(frozen=True)
class MatrixPlan:
    """What is run.

    Attributes:
        threads: thread counts, one round each.
        utterances: calls per cell; a cell never has fewer than it has threads.
        after: calls made one at a time after each parallel phase.
        patience_s: seconds without any call ending that make a hang; `None` derives it from the references.
        one_at_a_time: names of subjects that are called from one thread in every round.
        switch_interval_s: the interpreter's switch interval while threads run, seconds.
    """

    threads: tuple[int, ...]
    utterances: int
    after: int
    patience_s: float | None = None
    one_at_a_time: frozenset[str] = frozenset()
    switch_interval_s: float = SWITCH_INTERVAL_S

    def calls_in_cell(self, threads: int) -> int:
        return max(threads, self.utterances)


@dataclass(frozen=True)
class References:
    """Sequential outputs to compare with: `calls[key][request]`."""

    calls: dict[str, tuple[CallRecord, ...]]

    def slowest_s(self, key: str) -> float:
        return max((call.ended_s or 0.0) - (call.started_s or 0.0) for call in self.calls[key])


def reference_key(subject: Subject) -> str:
    """Key of the references `subject` is compared with: the workload's, or its own."""
    return WORKLOAD if subject.requests is None else subject.name


def make_references(
    subjects: Sequence[Subject],
    reference: Subject | None,
    workload: Sequence[object],
    patience_s: float,
    on_call: Callable[[], None] = lambda: None,
) -> References:
    """Run every distinct request once, one at a time, before threads have touched anything shared.

    Subjects that take the workload are compared with `reference`; any with requests of its own, with itself.

    Raises:
        ReferenceFailedError: a reference call raised or never ended.
    """
    calls: dict[str, tuple[CallRecord, ...]] = {}
    for subject in subjects:
        key = reference_key(subject)
        if key in calls:
            continue
        teller, requests = (subject, subject.requests) if subject.requests else (reference, workload)
        if teller is None:
            message = f"subject {subject.name!r} takes the speech workload, but nothing makes the references"
            raise ReferenceFailedError(message)
        taps = StageTaps(teller.shared)
        phase = Phase(teller, requests, range(len(requests)), taps, workers=1, patience_s=patience_s, on_call=on_call)
        with taps.installed():
            calls[key] = phase.run().calls
        for call in calls[key]:
            require_output(teller, call, patience_s)
    return References(calls)


def run_matrix(
    subjects: Sequence[Subject],
    workload: Sequence[object],
    references: References,
    plan: MatrixPlan,
    on_call: Callable[[], None] = lambda: None,
) -> Iterator[CellMeasurement]:
    """Yield one measurement per cell: thread counts outside, subjects inside, so that neighbours are compared.

    Every second round goes through the subjects backwards, so that drift of the machine favours none.
    A subject with a call that never ended is not run again; its remaining cells say why.
    """
    stuck: dict[str, str] = {}
    for turn, threads in enumerate(plan.threads):
        for subject in reversed(subjects) if turn % 2 else subjects:
            cell = _cell_plan(subject, threads, references, plan)
            if subject.name in stuck:
                yield _not_run(subject, cell, stuck[subject.name])
                continue
            measured = run_cell(subject, subject.requests or workload, cell, on_call)
            hung = sum(call.ending is Ending.HUNG for call in (*measured.calls, *measured.after))
            if hung:
                stuck[subject.name] = f"not run: {hung} calls never ended at {threads} threads"
            yield measured


def _cell_plan(subject: Subject, threads: int, references: References, plan: MatrixPlan) -> CellPlan:
    key = reference_key(subject)
    # Even if all threads take turns on one core, a call ends within threads times its time alone.
    patience = max(LEAST_PATIENCE_S, 4 * threads * references.slowest_s(key))
    cell = CellPlan(
        threads=threads,
        workers=threads,
        utterances=plan.calls_in_cell(threads),
        after=plan.after,
        patience_s=patience if plan.patience_s is None else plan.patience_s,
        references=key,
        switch_interval_s=plan.switch_interval_s,
    )
    return replace(cell, workers=1) if subject.name in plan.one_at_a_time else cell


def _not_run(subject: Subject, cell: CellPlan, why: str) -> CellMeasurement:
    return CellMeasurement(subject.name, cell.threads, cell.workers, cell.references, not_run=why)


def require_output(teller: Subject, call: CallRecord, patience_s: float) -> None:
    """Refuse a reference without an output.

    Raises:
        ReferenceFailedError: the call raised or never ended.
    """
    if call.output is not None:
        return
    if call.error is not None:
        why = f"raised {call.error.kinds[0]}: {call.error.message}"
    else:
        why = f"did not end within {patience_s:g} s"
    raise ReferenceFailedError(f"reference call of {teller.name!r} for request {call.request} {why}")
