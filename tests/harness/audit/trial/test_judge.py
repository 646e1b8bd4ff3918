from __future__ import annotations

from typing import TYPE_CHECKING, cast

from harness.audit.deadline import Deadline
from harness.audit.run.references import Pairs
from harness.audit.trial.judge import Judge
from harness.audit.trial.trials import Trial
from tests.harness.audit.trial.made_up import finding, slot

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.audit.state.cells import Cell
    from harness.audit.trial.trials import Experiment, Schedule


class Hours(Deadline):
    """A deadline by a clock that trials move."""

    now = 0.0

    def __init__(self, end: float) -> None:
        super().__init__(0)
        self.end = end

    def less(self, seconds: float) -> Hours:
        return Hours(self.end - seconds)

    def left(self) -> float:
        return max(0.0, self.end - Hours.now)


class AnHourEach:
    """Stands for an experiment of which every trial takes an hour; what is written to `harmful` changes outputs."""

    every_cell: frozenset[Cell] = frozenset()

    def __init__(self, harmful: str) -> None:
        self.harmful = harmful

    def is_there(self, _cells: Iterable[Cell]) -> bool:
        return True

    def held(self, _schedule: Schedule, keep: Iterable[Cell]) -> Trial:
        Hours.now += 1
        changed = slot(self.harmful) in keep
        return Trial(("before", "after"), blocked=False, effect="other numbers" if changed else "")


def judged(harmful: str, hours: float, for_remedies: float) -> list[bool | None]:
    Hours.now = 0.0
    experiment = AnHourEach(harmful)
    experiment.every_cell = finding("first").cells | finding("second").cells
    judge = Judge(cast("Experiment", experiment), Pairs(((0, 1),), ((0, 1),)), lambda _message: None)
    found = judge.judge_all([finding("first"), finding("second")], Hours(hours), for_remedies)
    return [judgement.harmful for judgement in found]


def test_time_for_remedies_is_left_once_there_is_harm_and_used_for_trials_as_long_as_there_is_none() -> None:
    assert judged("nothing", hours=2, for_remedies=1) == [False, False]
    assert judged("first", hours=4, for_remedies=1) == [True, None]
    assert judged("first", hours=4, for_remedies=0) == [True, False]
