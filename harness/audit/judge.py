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


def schedules(finding: Finding, pairs: Sequence[tuple[int, int]]) -> Iterator[Schedule]:
    """The interleavings to try for a finding, the most telling ones first."""
    sides: tuple[Side, ...] = ("before", "after") if finding.kind == "random draw" else ("after", "before")
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

    def __init__(
        self, experiment: Experiment, pairs: Sequence[tuple[int, int]], note: Callable[[str], None]
    ) -> None:
        self._experiment, self._pairs, self._note = experiment, pairs, note
        self._clean: dict[int, set[str]] = {}
        self._blocked: dict[int, int] = {}
        self._tried: dict[int, int] = {}
        self._joint: dict[int, Judgement] = {}

    def judge_all(self, findings: Sequence[Finding], deadline: Deadline) -> list[Judgement]:
        """One judgement for each finding, in order."""
        results: dict[int, Judgement] = {}
        queues = {index: list(schedules(finding, self._pairs)) for index, finding in enumerate(findings)}
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
        ended = [results.get(index) or self._without_end(index, finding) for index, finding in enumerate(findings)]
        if any(judgement.harmful for judgement in ended):
            return ended
        # No write does harm by itself, but some do together: each of them is needed for it.
        return [self._joint.get(index, judgement) for index, judgement in enumerate(ended)]

    def _try_next(self, index: int, finding: Finding, queue: list[Schedule]) -> Judgement | None:
        if not queue:
            return self._in_the_end(index, finding)
        schedule = queue.pop(0)
        trial = self._experiment.held(schedule, self._experiment.every_cell)
        if trial.effect:
            # Something that both calls write did it. With everything else put back: was it this?
            alone = self._experiment.held(schedule, finding.cells)
            if alone.effect:
                return Judgement(True, f"{schedule.describe()}, sharing only this: {alone.effect}", schedule)
            self._joint.setdefault(index, Judgement(True, f"{schedule.describe()}: {trial.effect}", schedule))
        if trial.blocked:
            self._blocked[index] = self._blocked.get(index, 0) + 1
            if self._blocked[index] > 1:
                queue[:] = []
            elif finding.guard is not None and schedule.side == "after":
                queue.insert(0, replace(schedule, lock=finding.guard))
        elif trial.reached:
            self._clean.setdefault(index, set()).add(schedule.side)
            self._tried[index] = self._tried.get(index, 0) + 1
        return None

    def _in_the_end(self, index: int, finding: Finding) -> Judgement:
        if finding.ancestors and self._clean.get(index):
            schedule = Schedule(finding.sites[0], "after", 1, *self._pairs[0])
            trial = self._experiment.held(schedule, finding.cells | finding.ancestors)
            if trial.effect:
                through = ", ".join(sorted(str(cell.owner) for cell in finding.ancestors))
                evidence = f"{schedule.describe()}, sharing this and {through}: {trial.effect}"
                return Judgement(True, evidence, schedule)
        return self._without_end(index, finding)

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
