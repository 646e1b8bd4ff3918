"""Decides for every finding whether it does harm, from trials; and says what it decided on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.audit.trials import Schedule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.audit.deadline import Deadline
    from harness.audit.findings import Finding
    from harness.audit.trials import Experiment, Side


CACHE = "lru_cache growth"
DRAW = "random draw"


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


LRU_CACHE = Judgement(False, "functools.lru_cache keeps itself consistent; at worst a value is computed twice")
UNLOCATED = Judgement(None, "undecided: the line that writes could not be located, so no call could be held there")
OUT_OF_TIME = Judgement(None, "undecided: the audit's time was up before this could be scheduled")


@dataclass(frozen=True)
class Attempt:
    """A schedule to try, with or without the slots that lead to what is written."""

    schedule: Schedule
    with_ancestors: bool = False


def schedules(finding: Finding, pairs: Sequence[tuple[int, int]]) -> Iterator[Schedule]:
    """The interleavings to try for a finding, the most telling ones first."""
    drawn = finding.kind == DRAW and not any("seed" in operation for operation in finding.operations)
    sides: tuple[Side, ...] = ("before", "after") if drawn else ("after", "before")
    for first, second in pairs:
        for site in finding.sites[:3]:
            for side in sides:
                yield Schedule(site, side, 1, first, second)
    if finding.count > len(pairs):
        first, second = pairs[0]
        for site in finding.sites[:1]:
            yield Schedule(site, "before", 2, first, second)


class Judge:
    """Judges findings in turn: every finding gets its first schedule before any gets its second."""

    def __init__(self, experiment: Experiment, pairs: Sequence[tuple[int, int]], note: Callable[[str], None]) -> None:
        self._experiment, self._pairs, self._note = experiment, pairs, note
        self._clean: dict[int, set[str]] = {}
        self._blocked: dict[int, int] = {}
        self._tried: dict[int, int] = {}

    def judge_all(self, findings: Sequence[Finding], deadline: Deadline) -> list[Judgement]:
        """One judgement for each finding, in order."""
        results: dict[int, Judgement] = {}
        queues = {
            index: [Attempt(schedule) for schedule in schedules(finding, self._pairs)]
            for index, finding in enumerate(findings)
        }
        results.update({index: LRU_CACHE for index, finding in enumerate(findings) if finding.kind == CACHE})
        pending = [index for index, finding in enumerate(findings) if finding.sites and index not in results]
        while pending and not deadline.passed():
            for index in list(pending):
                if deadline.passed():
                    break
                verdict = self._try_next(index, findings[index], queues[index])
                if verdict is not None:
                    results[index] = verdict
                    pending.remove(index)
                    self._note(f"{len(results)} of {len(findings)} judged")
        return [results.get(index) or self._without_end(index, finding) for index, finding in enumerate(findings)]

    def _try_next(self, index: int, finding: Finding, queue: list[Attempt]) -> Judgement | None:
        if not queue:
            return self._without_end(index, finding)
        attempt = queue.pop(0)
        schedule = attempt.schedule
        keep = finding.cells | finding.ancestors if attempt.with_ancestors else finding.cells
        trial = self._experiment.held(schedule, keep)
        if trial.effect and (finding.kind == DRAW or self._confirmed(schedule)):
            through = ", ".join(sorted(str(cell.owner) for cell in finding.ancestors))
            only = f"sharing this and {through}" if attempt.with_ancestors else "sharing only this"
            return Judgement(True, f"{schedule.describe()}, {only}: {trial.effect}", schedule)
        if trial.blocked:
            self._blocked[index] = self._blocked.get(index, 0) + 1
            if self._blocked[index] > 1:
                queue.clear()
            elif finding.guard is not None and schedule.side == "after":
                queue.insert(0, Attempt(replace(schedule, lock=finding.guard)))
        elif trial.reached:
            self._clean.setdefault(index, set()).add(schedule.side)
            self._tried[index] = self._tried.get(index, 0) + 1
            if finding.ancestors and not attempt.with_ancestors and self._tried[index] == 1:
                queue.insert(0, Attempt(schedule, with_ancestors=True))
        return None

    def _confirmed(self, schedule: Schedule) -> bool:
        """Whether it goes wrong with nothing put back as well, so that it is no artefact of putting back."""
        return bool(self._experiment.held(schedule, self._experiment.every_cell).effect)

    def judge_together(self, findings: Sequence[Finding], judgements: list[Judgement]) -> list[Judgement]:
        """Where no write does harm by itself, but calls do go wrong: which lines do harm with nothing put back."""
        judged = []
        for finding, judgement in zip(findings, judgements, strict=True):
            made = judgement
            for schedule in schedules(finding, self._pairs[:1]):
                trial = self._experiment.held(schedule, self._experiment.every_cell)
                if trial.effect:
                    made = Judgement(True, f"{schedule.describe()}: {trial.effect}", schedule)
                    break
            judged.append(made)
        return judged

    def _without_end(self, index: int, finding: Finding) -> Judgement:
        if not finding.sites:
            return UNLOCATED
        if self._clean.get(index) == {"before", "after"}:
            count = self._tried[index]
            return Judgement(False, f"{count} schedules on both sides of the line left every output bit-identical")
        if self._blocked.get(index):
            return Judgement(False, "no other call can run between: call B waits at a lock until call A is done")
        if self._clean.get(index):
            return Judgement(None, f"undecided: clean {', '.join(self._clean[index])} the line, the rest was not run")
        return OUT_OF_TIME
