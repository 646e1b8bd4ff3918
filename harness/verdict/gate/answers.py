"""The three answers, and what the gate holds numbers against."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from harness.verdict.judge import EXIT_INCONCLUSIVE, EXIT_PROVEN, EXIT_UNSAFE

# A change below this is not worth stopping anybody for.
LEAST_THRESHOLD = 1.05
# What the gate promises to see: an interval that reaches beyond it without being a regression decides nothing.
PROMISED = 1.20
# The same code in both processes, so any difference is the machine's.
CONTROL_TOLERANCE = 1.05
# Other programs' share of the cores in a round, and the share of rounds that may have more.
LOADED_SHARE, MOST_LOADED = 0.15, 0.25
# A clock that is being slewed moves by less.
CLOCK_TOLERANCE_S = 0.5


class Answer(StrEnum):
    """What the gate says."""

    PASS = "PASS"  # noqa: S105 - an answer, not a secret
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    ACCEPTED = "ACCEPTED"


EXIT_STATUS = {Answer.PASS: EXIT_PROVEN, Answer.FAIL: EXIT_UNSAFE, Answer.INCONCLUSIVE: EXIT_INCONCLUSIVE}


@dataclass(frozen=True)
class Conclusion:
    """An answer, why in one line, and with INCONCLUSIVE what would settle it."""

    answer: Answer
    reason: str
    settle: str = ""


@dataclass(frozen=True)
class Floor:
    """How far two runs of the same revision were apart, measured by a calibration.

    Attributes:
        source: the calibration's file; None if there is none.
        per_metric: factor of each metric.
        why_not: why there is none, if so.
    """

    source: str | None = None
    per_metric: dict[str, float] = field(default_factory=dict)
    why_not: str = ""

    def threshold(self, metric: str) -> float:
        """Return the factor beyond which `metric` is worse: the larger of 5 % and its floor."""
        return max(LEAST_THRESHOLD, self.per_metric.get(metric, 1.0))

    def as_json(self) -> dict[str, Any]:
        """Return the floor as `gate.json` keeps it."""
        rule = f"5 %; no floor was measured: {self.why_not or 'there is no calibration'}"
        if self.source:
            rule = "the larger of 5 % and the metric's floor"
        return {**asdict(self), "floor": max(self.per_metric.values(), default=None), "rule": rule}


def percent_worse(log_ratio: float) -> str:
    """Write a log ratio as people do: `+12.3 %`."""
    return f"{100 * math.expm1(log_ratio):+.1f} %"
