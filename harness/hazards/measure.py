"""Run the reproductions and write down what came of each, before anything is concluded."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.hazards.reproductions import REPRODUCTIONS
from harness.run.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.hazards.bench import Bench, Trial
    from harness.hazards.catalogue import Hazard


@dataclass(frozen=True)
class Measured:
    """All trials of one hazard on one subject.

    Attributes:
        trials: how often it was tried.
        failed: in how many of them the hazard's effect showed.
        evidence: what the last trial saw.
        trace: the schedule that the last trial followed.
        slowest_s: wall time of the slowest trial, seconds.
        stuck: how many could not be played, because calls wait for each other, and showed nothing else.
    """

    trials: int
    failed: int
    evidence: str
    trace: tuple[str, ...]
    slowest_s: float
    stuck: int = 0


def measure(hazard: Hazard, bench: Bench, repeats: int) -> dict[str, Any]:
    """Run a hazard's reproductions `repeats` times each; return its row of `hazards.json`, without a conclusion."""
    row: dict[str, Any] = {**asdict(hazard), "stock": None, "stateless": None, "why_not": ""}
    reproduction = REPRODUCTIONS.get(hazard.id)
    if reproduction is None:
        return {**row, "why_not": "read in the code; there is no reproduction"}
    with one_torch_thread():
        row["stock"] = asdict(_repeat(reproduction.stock, bench, repeats))
        if reproduction.stateless is not None:
            row["stateless"] = asdict(_repeat(reproduction.stateless, bench, repeats))
    return {**row, "why_not": reproduction.why_not}


def _repeat(reproduce: Callable[[Bench], Trial], bench: Bench, repeats: int) -> Measured:
    trials: list[Trial] = []
    seconds: list[float] = []
    for _ in range(repeats):
        start = time.perf_counter()
        trials.append(reproduce(bench))
        seconds.append(time.perf_counter() - start)
    return _together(trials, seconds)


def _together(trials: Sequence[Trial], seconds: Sequence[float]) -> Measured:
    last = trials[-1]
    return Measured(
        trials=len(trials),
        failed=sum(trial.failed for trial in trials),
        evidence=last.evidence,
        trace=last.trace,
        slowest_s=round(max(seconds), 3),
        stuck=sum(trial.stuck and not trial.failed for trial in trials),
    )
