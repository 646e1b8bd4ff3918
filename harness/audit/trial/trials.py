"""The experiment behind every judgement: hold one call at a line, let another run, compare both with their references.

While a call is held, everything that calls write is put back except what the trial is about. An output that
changes then changed because of that one write, and not because of another one on the way.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from harness.audit.run.calls import Hold, Outcome, Worker, difference, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from harness.audit.state.cells import Cell, Cells
    from harness.audit.state.checkpoint import Checkpoint
    from harness.audit.state.paths import Path
    from harness.audit.watch.locate import Site

Side = Literal["before", "after", "both", "crossed"]


@dataclass(frozen=True)
class Schedule:
    """One interleaving of two calls, small enough to be written down and run again.

    Attributes:
        site: where the first call is held.
        side: right before or right after that instruction ran; `both` holds twice, for a second call each time;
            `crossed` holds the second call there too, while the first runs to its end.
        hit: the how-manieth time it gets there.
        first: index of the request of the call that is held.
        second: index of the request that runs to its end meanwhile.
        lock: hold only once this lock of the written object is free again.
        before: indices of requests that ran to their end before; some lines are for calls that find something there.
    """

    site: Site
    side: Side
    hit: int
    first: int
    second: int
    lock: Path | None = None
    before: tuple[int, ...] = ()

    def describe(self) -> str:
        times = "" if self.hit == 1 else f" (time {self.hit})"
        freed = "" if self.lock is None else f", as soon as {self.lock} is free,"
        place = f"{self.site.location}{times}{freed}" + (" (other calls had run before)" if self.before else "")
        if self.side == "crossed":
            return f"calls A and B both held right after {place}, then A runs to its end, then B"
        if self.side == "both":
            return f"call A held right before {place} while call B runs to its end, and right after it for another B"
        return f"call A held right {self.side} {place} while call B runs to its end"


@dataclass(frozen=True)
class Trial:
    """What came of one schedule.

    Attributes:
        sides: at which sides of the line call A was held; none if it never got there.
        blocked: whether call B waited, using no processor time, until call A went on: a lock.
        effect: what changed, in words; empty if both results equal their references.
    """

    sides: tuple[Side, ...]
    blocked: bool
    effect: str

    @property
    def reached(self) -> bool:
        return bool(self.sides)


class Experiment:
    """Runs trials on one subject, from the same state every time."""

    def __init__(
        self,
        call: Callable[[Any], Any],
        requests: Sequence[object],
        references: Sequence[Outcome],
        checkpoint: Checkpoint,
        cells: Cells,
        every_cell: Iterable[Cell],
    ) -> None:
        self.call, self.requests, self.references = call, requests, references
        self._checkpoint, self._cells, self.every_cell = checkpoint, cells, frozenset(every_cell)
        slowest = max(reference.seconds for reference in references)
        self.timeout = 5.0 + 20.0 * slowest

    def restore(self) -> None:
        self._checkpoint.restore()

    def _start_from(self, before: Sequence[int]) -> None:
        self.restore()
        for index in before:
            run(self.call, self.requests[index], copied_at_once=False)

    def is_there(self, cells: Iterable[Cell]) -> bool:
        """Whether what holds any of `cells` exists before a call has run."""
        self.restore()
        return any(self._cells.has_holder(cell) for cell in cells)

    def held(
        self,
        schedule: Schedule,
        keep: frozenset[Cell],
        calls: tuple[Callable[[Any], Any], Callable[[Any], Any]] | None = None,
        expected: Mapping[int, Outcome] | None = None,
    ) -> Trial:
        """Run `schedule`, with only the cells in `keep` shared between the two calls.

        Args:
            schedule: where to hold call A.
            keep: what the trial is about.
            calls: what to run as A and as B instead of the subject's call, when a remedy is tried.
            expected: what to compare with instead of the references, by request.
        """
        if schedule.side == "crossed":
            return self._crossed(schedule, keep, calls or (self.call, self.call), expected)
        call_a, call_b = calls or (self.call, self.call)
        self._start_from(schedule.before)
        others = self.every_cell - keep
        base = self._cells.take(others)
        lock = None if schedule.lock is None else self._cells.follow(schedule.lock)
        hold = Hold(schedule.site, schedule.side, schedule.hit, lock)
        first = Worker(call_a, self.requests[schedule.first], hold.install).start()
        found: list[str] = []
        stops = 0
        blocked = False
        while not blocked and self._wait_until_held(first, hold, stops):
            stops += 1
            at_hold = self._cells.take(others)
            _put(base)
            second = Worker(call_b, self.requests[schedule.second]).start()
            blocked = second.wait_or_blocked(self.timeout)
            _put(at_hold)
            (hold.let_go if blocked else hold.go_on)()
            # Behind a lock the calls ran one after the other; what that changes is not this schedule's doing.
            outcome = second.wait(self.timeout if blocked else 0)
            found.extend([] if blocked else self._effects((outcome,), (schedule.second,), "B", expected))
            if found or stops == hold.stops:
                break
        hold.let_go()
        outcome = first.wait(self.timeout)
        if stops and not blocked:
            found[:0] = self._effects((outcome,), (schedule.first,), "A", expected)
        return Trial(sides=_sides(schedule.side, stops), blocked=blocked, effect="; ".join(found))

    def _crossed(
        self,
        schedule: Schedule,
        keep: frozenset[Cell],
        calls: tuple[Callable[[Any], Any], Callable[[Any], Any]],
        expected: Mapping[int, Outcome] | None,
    ) -> Trial:
        """Both calls have run the line before either goes on: what one puts back at its end is back too early."""
        self._start_from(schedule.before)
        others = self.every_cell - keep
        base = self._cells.take(others)
        holds = [Hold(schedule.site, "after", schedule.hit) for _call in calls]
        first = Worker(calls[0], self.requests[schedule.first], holds[0].install).start()
        if not self._wait_until_held(first, holds[0], 0):
            holds[0].let_go()
            first.wait(self.timeout)
            return Trial(sides=(), blocked=False, effect="")
        view_of_a = self._cells.take(others)
        _put(base)
        second = Worker(calls[1], self.requests[schedule.second], holds[1].install).start()
        blocked = second.wait_or_blocked(self.timeout, lambda: holds[1].reached(1, 0))
        crossed = holds[1].reached(1, 0)
        view_of_b = self._cells.take(others)
        _put(view_of_a)
        holds[0].let_go()
        blocked = first.wait_or_blocked(self.timeout) or blocked
        _put(view_of_b)
        holds[1].let_go()
        outcomes = (first.wait(self.timeout), second.wait(self.timeout))
        if not crossed or blocked:
            return Trial(sides=(), blocked=blocked, effect="")
        found = self._effects(outcomes, (schedule.first, schedule.second), "AB", expected)
        return Trial(sides=("crossed",), blocked=False, effect="; ".join(found))

    def one_after_the_other(self, order: Sequence[int], keep: frozenset[Cell]) -> str:
        """What changes if the requests run one after the other and only `keep` carries over; empty if nothing."""
        self.restore()
        base = self._cells.take(self.every_cell - keep)
        outcomes = []
        for index in order:
            outcomes.append(run(self.call, self.requests[index], copied_at_once=False))
            _put(base)
        names = "".join(chr(ord("A") + position) for position in range(len(order)))
        return "; ".join(self._effects(tuple(outcomes), tuple(order), names))

    def again_over(self, calls: Sequence[Callable[[Any], Any]], order: Sequence[int]) -> str:
        """What changes if each of `calls`, used once already, takes another request; empty if nothing."""
        outcomes = [run(call, self.requests[index]) for call, index in zip(calls, order, strict=True)]
        return "; ".join(self._effects(outcomes, order, "AB"))

    def _wait_until_held(self, worker: Worker, hold: Hold, stops: int) -> bool:
        end = time.monotonic() + self.timeout
        while time.monotonic() < end and worker.thread.is_alive():
            if hold.reached(stops + 1, 0.01):
                return True
        return hold.reached(stops + 1, 0)

    def _effects(
        self,
        outcomes: Sequence[Outcome],
        requests: Sequence[int],
        names: str,
        expected: Mapping[int, Outcome] | None = None,
    ) -> list[str]:
        references = self.references if expected is None else expected
        found = []
        for outcome, request, name in zip(outcomes, requests, names, strict=True):
            changed = difference(outcome, references[request])
            if changed:
                found.append(f"call {name}: {changed}")
        return found


def _sides(side: Side, stops: int) -> tuple[Side, ...]:
    every: tuple[Side, ...] = ("before", "after") if side == "both" else (side,)
    return every[:stops]


def _put(taken: dict[Cell, Callable[[], object]]) -> None:
    for put in taken.values():
        put()
