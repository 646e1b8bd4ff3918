"""Finds by trying which remedy holds against a finding.

Against a write: a lock, a copy per call, an object per thread. Against a draw from a generator that calls share: a
generator of its own for every call as well.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.audit.run.calls import run
from harness.audit.state.memory import memory_of
from harness.audit.trial.copies import CannotCopyError, call_over_copy
from harness.audit.trial.own_generator import CANNOT_REDIRECT, OwnGenerator
from harness.audit.trial.turns import DRAW
from harness.audit.unfinished import TIME_WAS_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.deadline import Deadline
    from harness.audit.findings import Finding
    from harness.audit.state.cells import Cell
    from harness.audit.state.graph import Graph
    from harness.audit.trial.judge import Judgement
    from harness.audit.trial.trials import Experiment, Schedule

IN_TURN = "calls one after the other already change each other's output"
OWN_GENERATOR = "own generator per call"
HOLDS, FAILS, NOT_TRIED = "holds", "does not hold", "not tried"


@dataclass(frozen=True)
class Remedy:
    """One remedy and what came of trying it."""

    name: str
    result: str
    evidence: str


class Remedies:
    """Tries the remedies on one subject."""

    def __init__(
        self, experiment: Experiment, shared: Sequence[object], graph: Graph, findings: Sequence[Finding]
    ) -> None:
        self._experiment, self._shared, self._graph = experiment, tuple(shared), graph
        self._tried: dict[frozenset[Cell], tuple[str, tuple[Remedy, ...]]] = {}
        self._in_turn: dict[tuple[int, ...], str] = {}
        paths = {cell.owner for finding in findings for cell in finding.cells if cell.holds == "content"}
        nodes = [node for node in graph.nodes.values() if node.role in {"tensor", "array"} and node.path in paths]
        self._written = frozenset(found[0] for node in nodes if (found := memory_of(node.value)) is not None)

    def try_all(self, finding: Finding, judgement: Judgement, deadline: Deadline) -> tuple[Remedy, ...]:
        """Try every remedy against the schedule that showed the harm; once for all lines that write the same."""
        schedule = judgement.schedule
        if schedule is None:
            return (Remedy("lock", FAILS, IN_TURN),)
        if finding.cells in self._tried:
            where, known = self._tried[finding.cells]
            told = f"tried at {where}, which {'draws from' if finding.kind == DRAW else 'writes'} the same: "
            return tuple(replace(remedy, evidence=told + remedy.evidence) for remedy in known)
        names = ("lock", "copy per call", "object per thread", *((OWN_GENERATOR,) if finding.kind == DRAW else ()))
        if deadline.passed():
            return tuple(Remedy(name, NOT_TRIED, TIME_WAS_UP) for name in names)
        found: tuple[Remedy, ...] = (self._lock(finding, schedule), *self._copies(finding, schedule))
        if finding.kind == DRAW:
            found += (self._own_generator(finding, schedule),)
        self._tried[finding.cells] = (finding.place.location, found)
        return found

    def _lock(self, finding: Finding, schedule: Schedule) -> Remedy:
        lock = threading.Lock()
        call = self._experiment.call

        def locked(request: object) -> Any:  # noqa: ANN401 - whatever a call returns
            with lock:
                return call(request)

        trial = self._experiment.held(schedule, finding.cells | finding.ancestors, (locked, locked))
        if trial.effect:
            return Remedy("lock", FAILS, trial.effect)
        order = (schedule.second, schedule.first, schedule.second)
        if order not in self._in_turn:
            self._in_turn[order] = self._experiment.one_after_the_other(order, self._experiment.every_cell)
        carried = self._in_turn[order]
        if carried:
            carried = self._experiment.one_after_the_other(order, finding.cells | finding.ancestors)
        if carried:
            return Remedy("lock", FAILS, f"the write carries over to later calls; one after the other, {carried}")
        return Remedy("lock", HOLDS, "the same schedule with one lock around the call gives the sequential outputs")

    def _own_generator(self, finding: Finding, schedule: Schedule) -> Remedy:
        """Give every call a generator of its own, and compare with the same calls, each with its own, made alone."""
        if finding.path in CANNOT_REDIRECT:
            return Remedy(OWN_GENERATOR, NOT_TRIED, "only torch's draws can be given another generator from outside")
        call = self._experiment.call

        def own(request: object) -> Any:  # noqa: ANN401 - whatever a call returns
            with OwnGenerator():
                return call(request)

        alone = {}
        for index in {schedule.first, schedule.second}:
            self._experiment.restore()
            alone[index] = run(own, self._experiment.requests[index])
        trial = self._experiment.held(schedule, finding.cells, (own, own), alone)
        if not trial.reached:
            return Remedy(OWN_GENERATOR, NOT_TRIED, "with a generator of its own the call never got to the line")
        if trial.effect:
            return Remedy(OWN_GENERATOR, FAILS, trial.effect)
        told = "the same schedule, every call drawing from its own generator, gives what each such call gives alone"
        return Remedy(OWN_GENERATOR, HOLDS, told)

    def _copies(self, finding: Finding, schedule: Schedule) -> tuple[Remedy, Remedy]:
        self._experiment.restore()
        try:
            calls = self._copy(), self._copy()
        except CannotCopyError as error:
            return Remedy("copy per call", NOT_TRIED, str(error)), Remedy("object per thread", NOT_TRIED, str(error))
        trial = self._experiment.held(schedule, finding.cells | finding.ancestors, calls)
        if not trial.reached:
            unreached = "over a copy the call never got to the line"
            return Remedy("copy per call", NOT_TRIED, unreached), Remedy("object per thread", NOT_TRIED, unreached)
        if trial.effect:
            return Remedy("copy per call", FAILS, trial.effect), Remedy("object per thread", FAILS, trial.effect)
        per_call = Remedy(
            "copy per call", HOLDS, "the same schedule over a deep copy each gives the sequential outputs"
        )
        again = self._experiment.again_over(calls, (schedule.second, schedule.first))
        if again:
            return per_call, Remedy("object per thread", FAILS, f"a thread's second call differs: {again}")
        each = "each thread's object gave the sequential outputs twice, the first time under the same schedule"
        return per_call, Remedy("object per thread", HOLDS, each)

    def _copy(self) -> Callable[[Any], Any]:
        return call_over_copy(self._experiment.call, self._shared, self._graph, self._written)
