"""Decides for every finding whether it does harm, from trials; and says what it decided on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.audit.trial.trials import Schedule
from harness.audit.trial.turns import CACHE, DRAW, Turns
from harness.audit.unfinished import TIME_WAS_UP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from harness.audit.deadline import Deadline
    from harness.audit.findings import Finding
    from harness.audit.run.references import Pairs
    from harness.audit.state.cells import Cell
    from harness.audit.trial.trials import Experiment, Side, Trial
    from harness.audit.watch.locate import Site


@dataclass(frozen=True)
class Judgement:
    """Whether a finding does harm.

    Attributes:
        harmful: True, False, or None for undecided.
        evidence: what was run and what came of it.
        schedule: the interleaving that shows the harm.
    """

    harmful: bool | None
    evidence: str
    schedule: Schedule | None = None


GUARDED_PAIRS = 2  # one call before the other, and the other before the one
ENOUGH = 8  # sides of a line at which nothing happened, after which it is left at that
LRU_CACHE = Judgement(False, "functools.lru_cache keeps itself consistent; at worst a value is computed twice")
SAME_VALUE = Judgement(False, "every watched call stored the value that was there already, and no other line writes it")
UNLOCATED = Judgement(None, "undecided: the line that writes could not be located, so no call could be held there")
UNREACHED = Judgement(None, "undecided: in no trial did a call come to this line")
OUT_OF_TIME = Judgement(None, f"undecided: {TIME_WAS_UP} before this could be scheduled")


@dataclass(frozen=True)
class Attempt:
    """A schedule to try, with or without the slots that lead to what is written."""

    schedule: Schedule
    with_ancestors: bool = False


def schedules(finding: Finding, pairs: Pairs, beneath: Sequence[Site] = ()) -> Iterator[Schedule]:
    """The interleavings to try for a finding, the most telling ones first.

    Args:
        finding: what to judge.
        pairs: who is held, and who runs meanwhile.
        beneath: lines that write what calls have added to what the finding writes.
    """
    drawn = finding.kind == DRAW and not any("seed" in operation for operation in finding.operations)
    # A write is tried from both sides in one go: that costs three calls, and two schedules would cost four.
    sides: tuple[Side, ...] = ("before", "after") if drawn else ("both",)
    ordered = pairs.for_same_object if finding.ancestors else pairs.ordered
    for site in beneath:
        yield Schedule(site, "after", 1, *ordered[0])
    first = finding.sites[:1]
    for site in first:
        yield from (Schedule(site, side, 1, *ordered[0]) for side in sides)
        if not drawn and finding.guard is None:
            yield Schedule(site, "crossed", 1, *ordered[0])
    if finding.count > len(ordered):
        yield from (Schedule(site, sides[0], 2, *ordered[0]) for site in first)
    for site in finding.sites[:3]:
        for pair in ordered[1:] if site in first else ordered:
            yield from (Schedule(site, side, 1, *pair) for side in sides)


class Judge:
    """Judges findings in turn: every finding gets its first schedule before any gets its second."""

    def __init__(self, experiment: Experiment, pairs: Pairs, note: Callable[[str], None]) -> None:
        self._experiment, self._pairs, self._note = experiment, pairs, note
        self._clean: dict[int, set[str]] = {}
        self._blocked: dict[int, int] = {}
        self._tried: dict[int, int] = {}
        self._came_to_an_end: set[int] = set()
        self._harmful: set[Cell] = set()
        self._turns = Turns((), lambda _cells: True)

    def judge_all(self, findings: Sequence[Finding], deadline: Deadline, for_remedies: float) -> list[Judgement]:
        """One judgement for each finding, in order.

        Args:
            findings: what to judge.
            deadline: when to end.
            for_remedies: seconds to leave of that once something is harmful, and remedies are to be tried.
        """
        self._turns = turns = Turns(findings, self._experiment.is_there)
        results = {index: LRU_CACHE for index, finding in enumerate(findings) if finding.kind == CACHE}
        queues = {index: self._attempts(index, finding) for index, finding in enumerate(findings)}
        pending = [index for index in turns.order if findings[index].sites and index not in results]
        until = deadline
        while pending and not until.passed():
            for index in list(pending):
                if until.passed():
                    break
                found = findings[index]
                verdict = self._out_of_reach(index, found) or self._try_next(index, found, queues[index])
                if verdict is not None:
                    results[index] = verdict
                    if verdict.harmful:
                        self._harmful |= found.cells
                        until = deadline.less(for_remedies)
                    pending.remove(index)
                    self._note(f"{len(results)} of {len(findings)} judged")
        return [results.get(index) or self._without_end(index, finding) for index, finding in enumerate(findings)]

    def _attempts(self, index: int, finding: Finding) -> list[Attempt]:
        # What a call adds is out of the other call's reach unless the way to it is shared too.
        added = index in self._turns.added
        planned = schedules(finding, self._pairs, self._turns.beneath.get(index, ()))
        attempts = [Attempt(schedule, with_ancestors=added) for schedule in planned]
        return attempts[:1] if added else attempts

    def _try_next(self, index: int, finding: Finding, queue: list[Attempt]) -> Judgement | None:
        if not queue:
            return self._without_end(index, finding)
        attempt = queue.pop(0)
        schedule = attempt.schedule
        keep = finding.cells | finding.ancestors if attempt.with_ancestors else finding.cells
        trial = self._experiment.held(schedule, keep)
        by_ancestors = (
            attempt.with_ancestors and trial.effect and self._experiment.held(schedule, finding.ancestors).effect
        )
        through = _through(finding)
        if by_ancestors and index in self._turns.added:
            told = f"{schedule.describe()}, {trial.effect}; but so it does if only {through} is shared"
            return Judgement(None, f"undecided by itself: {told}, through which alone other calls reach it")
        shown = self._shown_by_one_side(finding, attempt, trial) if trial.effect and not by_ancestors else None
        if shown is not None:
            side, effect = shown
            only = f"sharing this and {through}" if attempt.with_ancestors else "sharing only this"
            return Judgement(True, f"{side.describe()}, {only}: {effect}", side)
        return self._go_on(index, finding, queue, attempt, trial)

    def _go_on(
        self, index: int, finding: Finding, queue: list[Attempt], attempt: Attempt, trial: Trial
    ) -> Judgement | None:
        """Take down a trial that showed nothing, and what is left to be tried after it."""
        schedule = attempt.schedule
        if trial.blocked:
            self._blocked[index] = self._blocked.get(index, 0) + 1
            if self._blocked[index] > 1:
                queue.clear()
            elif finding.guard is not None and schedule.side != "before":
                # Nobody comes in while the lock is held: what is left is what one call finds of the other's later on.
                pairs = self._pairs.ordered[:GUARDED_PAIRS]
                later = replace(schedule, side="after", lock=finding.guard)
                queue[:] = [Attempt(replace(later, first=first, second=second)) for first, second in pairs]
        elif trial.reached and schedule.site in finding.sites:
            self._take_down(index, trial)
            if self._tried[index] >= ENOUGH and self._is_clean(index):
                queue.clear()
            if finding.ancestors and not attempt.with_ancestors and self._tried[index] == len(trial.sides):
                queue.insert(0, Attempt(schedule, with_ancestors=True))
        elif not trial.reached and schedule.side != "crossed":
            # This request does not come here; the next schedule starts from another one, or at another line.
            here = {schedule.site, *(finding.sites if schedule.site in finding.sites else ())}
            queue[:] = [
                other for other in queue if other.schedule.first != schedule.first or other.schedule.site not in here
            ]
            if not queue and not schedule.before and not self._tried.get(index):
                # Perhaps it takes a call that has run before, as with what makes room in a cache.
                queue.append(Attempt(replace(schedule, side="both", before=(schedule.second,))))
            if queue:
                return self._try_next(index, finding, queue)
            self._came_to_an_end.add(index)
        return None

    def _take_down(self, index: int, trial: Trial) -> None:
        self._clean.setdefault(index, set()).update(trial.sides)
        self._tried[index] = self._tried.get(index, 0) + len(trial.sides)

    def _shown_by_one_side(self, finding: Finding, attempt: Attempt, trial: Trial) -> tuple[Schedule, str] | None:
        """The schedule with a single stop that shows the effect, if it is this finding's own, and what it shows.

        It is not its own if it goes when the other written slots of the same object are shared with it (a flag and
        what it stands for are set together), or when nothing is put back.
        """
        if finding.kind == DRAW:
            return attempt.schedule, trial.effect
        held = self._experiment.held
        keep = finding.cells | (finding.ancestors if attempt.with_ancestors else self._beside(finding))
        both: tuple[Side, ...] = ("after", "before")
        for side in both if attempt.schedule.side == "both" else (attempt.schedule.side,):
            schedule = replace(attempt.schedule, side=side)
            effect = held(schedule, keep).effect
            if effect and held(schedule, self._experiment.every_cell).effect:
                return schedule, effect
        return None

    def _beside(self, finding: Finding) -> frozenset[Cell]:
        """The other places that calls write in the objects which hold what this finding writes."""
        holders = {(cell.owner.root, cell.owner.steps[:-1]) for cell in finding.cells if cell.owner.steps}
        return frozenset(
            cell
            for cell in self._experiment.every_cell
            if cell.owner.steps and (cell.owner.root, cell.owner.steps[:-1]) in holders
        )

    def judge_together(self, findings: Sequence[Finding], judgements: list[Judgement]) -> list[Judgement]:
        """Where no write does harm by itself, but calls do go wrong: which harm goes away if one write is put back.

        Nothing is said of a write without which the harm is the same, nor before each was judged by itself: with
        everything shared, every line looks as if it did harm.
        """
        if any(judgement is OUT_OF_TIME for judgement in judgements):
            return judgements
        held, everything = self._experiment.held, self._experiment.every_cell
        judged = []
        for finding, judgement in zip(findings, judgements, strict=True):
            made = judgement
            for schedule in schedules(finding, self._pairs.first_only()):
                effect = held(schedule, everything).effect
                if effect and not held(schedule, everything - finding.cells).effect:
                    told = f"{schedule.describe()}, sharing all that is written: {effect}; not so without this"
                    made = Judgement(True, told, schedule)
                    break
            judged.append(made)
        return judged

    def _out_of_reach(self, index: int, finding: Finding) -> Judgement | None:
        """Of what calls add: that the harm is done where others get at it, once that is known to do harm."""
        if index not in self._turns.added or not finding.ancestors & self._harmful:
            return None
        harmful = _names(finding.ancestors & self._harmful)
        told = f"every call adds what holds it, and others reach that only through {harmful}, which is harmful"
        return Judgement(False, f"harmless by itself: {told}; with that mended no other call gets here")

    def _without_end(self, index: int, finding: Finding) -> Judgement:
        if not finding.sites:
            return UNLOCATED
        out_of_reach = self._out_of_reach(index, finding)
        if out_of_reach is not None:
            return out_of_reach
        both = self._is_clean(index)
        if finding.same_value and not finding.cells & self._turns.changing and not both:
            return SAME_VALUE
        if both:
            count = self._tried[index]
            return Judgement(False, f"{count} schedules on both sides of the line left every output bit-identical")
        if self._blocked.get(index):
            return Judgement(False, "no other call can run between: call B waits at a lock until call A is done")
        return self._half_judged(index, finding)

    def _is_clean(self, index: int) -> bool:
        return self._clean.get(index, set()) >= {"before", "after"}

    def _half_judged(self, index: int, finding: Finding) -> Judgement:
        if self._clean.get(index):
            return Judgement(None, f"undecided: clean {', '.join(self._clean[index])} the line, but {TIME_WAS_UP}")
        if index in self._turns.added:
            reached = f"calls add it, and others reach it only through {_through(finding)}, which is judged by itself"
            return Judgement(None, f"undecided by itself: {reached}")
        return UNREACHED if index in self._came_to_an_end else OUT_OF_TIME


def _through(finding: Finding) -> str:
    """The written places that lead to what `finding` writes, the first two by name."""
    return _names(finding.ancestors)


def _names(cells: Iterable[Cell]) -> str:
    names = sorted({str(cell.owner) for cell in cells})
    return ", ".join(names[:2]) + (f" and {len(names) - 2} more" if len(names) > 2 else "")  # noqa: PLR2004 - what a line holds
