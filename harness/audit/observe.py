"""Watches calls, alone and overlapping, with everything on; says what they wrote and drew, and where."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.audit.deadline import Deadline
from harness.audit.run import calls
from harness.audit.state.memory import memory_of
from harness.audit.state.paths import follow
from harness.audit.state.restore import changed_entries, comparable
from harness.audit.watch import lines
from harness.audit.watch.dispatch import OperationWatch
from harness.audit.watch.events import PROCESS_WIDE, Draw, Record, Write
from harness.audit.watch.exchange import found_exchanged, seen_exchanging
from harness.audit.watch.locate import NOWHERE
from harness.audit.watch.tracer import WriteTracer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.audit.run.calls import Outcome
    from harness.audit.state.checkpoint import Checkpoint
    from harness.audit.state.graph import Graph, Node

OVERLAPPING = 2
# What calls that overlap have beside twenty times what they took alone.
PATIENCE_S = 10.0


@dataclass(frozen=True)
class Observation:
    """What the watched calls did.

    Attributes:
        record: every write and draw.
        outcomes: of the calls run alone, in order.
        overlapping: of the calls run at the same time.
        seconds: what the calls run alone took while they were watched.
        exchanged: shared tensors to which calls give other memory, another shape or another gradient. Such calls are
            not run freely at the same time in this process, `overlapping` included.
    """

    record: Record
    outcomes: tuple[Outcome, ...]
    overlapping: tuple[Outcome, ...]
    seconds: tuple[float, ...]
    exchanged: tuple[str, ...] = ()


def wide_states() -> dict[str, object]:
    """The states of the process-wide generators, in a form that can be compared."""
    return {
        "torch.default_generator": comparable(torch.get_rng_state()),
        "numpy.random": comparable(np.random.get_state()),  # noqa: NPY002 - the legacy generator is process-wide
        "random": comparable(random.getstate()),
    }


class Observer:
    """Runs calls with the tracer and the operation watch on."""

    def __init__(self, call: Callable[[Any], Any], graph: Graph, checkpoint: Checkpoint) -> None:
        self._call, self._graph, self._checkpoint = call, graph, checkpoint
        self.record = Record()
        self._tracer = WriteTracer(graph, self.record)

    def run(self, request: object) -> Outcome:
        """Run one watched call in this thread."""
        before = wide_states()
        outcome = calls.run(self._watched, request)
        self._note_unseen_draws(before)
        return outcome

    def _watched(self, request: object) -> object:
        with self._operations():
            self._tracer.start(self._operations)
            try:
                return self._call(request)
            finally:
                self._tracer.stop()
                threading.settrace(None)
                threading.setprofile(None)

    def _operations(self) -> OperationWatch:
        return OperationWatch(self._graph, self.record, self._checkpoint.keep_before_write)

    def _note_unseen_draws(self, before: dict[str, object]) -> None:
        drawn = {draw.generator for draws in self.record.draws.values() for draw in draws}
        for name, state in wide_states().items():
            generator = f"{PROCESS_WIDE} {name}"
            if state != before[name] and generator not in drawn:
                self.record.add_draw(Draw("a draw outside Python's sight", generator, NOWHERE))

    def run_overlapping(self, requests: Sequence[object], timeout: float) -> tuple[Outcome, ...]:
        return calls.run_together(self._watched, requests, timeout)


def observe(
    call: Callable[[Any], Any], requests: Sequence[object], graph: Graph, checkpoint: Checkpoint, budget: float
) -> Observation:
    """Watch as many of `requests` as fit into `budget` seconds (two at least), then two at the same time."""
    observer = Observer(call, graph, checkpoint)
    outcomes: list[Outcome] = []
    deadline = Deadline(budget)
    for index, request in enumerate(requests):
        outcome = observer.run(request)
        if outcome.error and index > 0:  # perhaps for what an earlier call has left; that is looked at by itself
            checkpoint.restore_everything()
            outcome = observer.run(request)
        outcomes.append(outcome)
        if outcomes[-1].error or (index > 0 and deadline.passed()):
            break
    if outcomes[-1].error:
        return Observation(observer.record, tuple(outcomes), (), tuple(outcome.seconds for outcome in outcomes))
    changed = checkpoint.changed()
    bent = found_exchanged(changed, checkpoint)
    writes = [write for group in observer.record.writes.values() for write in group]
    unseen = [node for node in changed if not _is_covered(node, writes, graph, checkpoint)]
    if unseen:
        checkpoint.restore()
        seen = {write.path for write in writes}
        for write in lines.locate(call, requests[0], unseen, checkpoint):
            if write.path not in seen:
                observer.record.add_write(write)
    exchanged = tuple(dict.fromkeys([*seen_exchanging(observer.record), *bent]))
    checkpoint.restore()
    overlapping: tuple[Outcome, ...] = ()
    if not exchanged:
        pair = [requests[index % len(outcomes)] for index in range(OVERLAPPING)]
        overlapping = observer.run_overlapping(pair, PATIENCE_S + 20 * max(outcome.seconds for outcome in outcomes))
    checkpoint.mark_written(write for writes in observer.record.writes.values() for write in writes)
    checkpoint.restore()
    seconds = tuple(outcome.seconds for outcome in outcomes)
    return Observation(observer.record, tuple(outcomes), overlapping, seconds, exchanged)


def _is_covered(node: Node, writes: Sequence[Write], graph: Graph, checkpoint: Checkpoint) -> bool:
    """Whether recorded writes explain that this object changed: of a namespace, every entry of it.

    What is written further down changes what the object holds, and not the object.
    """
    if node.role in {"generator", "leaf"}:
        return True
    if node.role in {"tensor", "array"}:
        memory = memory_of(node.value)
        return any(
            write.path.starts_with(node.path)
            or (memory is not None and memory == memory_of(follow(write.owner, graph.roots)))
            for write in writes
        )
    depth = len(node.path.steps)
    near = [write.path for write in writes if write.path.starts_with(node.path) and len(write.path.steps) <= depth + 1]
    if node.role != "namespace":
        return bool(near)
    written = {str(path.steps[-1].key) for path in near if len(path.steps) > depth}
    return {str(name) for name in changed_entries(node, checkpoint.held_by(node))} <= written
