"""Run every fault until it is caught, and the wrapper without one often enough to see false alarms."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.power.stepped import SteppedWrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.power.faults import Fault
    from harness.power.scenario import Run, Scenario

DETECTORS = ("concurrent", "after", "residue")
# What outputs show weighs more than what objects show: a fault is run on until one of these has caught it.
_BY_OUTPUT = ("concurrent", "after")


@dataclass(frozen=True)
class PowerPlan:
    """How often things are run.

    Attributes:
        least_runs: runs of each fault, so that every detector has a chance.
        most_runs: runs after which a fault that no output has shown is left at what else has been seen.
        clean_runs: runs of the wrapper without a fault.
    """

    least_runs: int = 2
    most_runs: int = 10
    clean_runs: int = 200


def measure_fault(fault: Fault, scenario: Scenario, plan: PowerPlan) -> dict[str, Any]:
    """Return the fault's row: for each detector the first run in which it spoke up, or None, and what it said."""
    start = time.perf_counter()
    runs: list[Run] = []
    try:
        references = scenario.alone(fault.wrapper)
        while len(runs) < plan.most_runs and (len(runs) < plan.least_runs or not _shown(runs)):
            runs.append(scenario.run(fault.wrapper, references, turn=len(runs)))
            if runs[-1].hung:
                break
    finally:
        scenario.clean_up()
    return {
        "fault": fault.name,
        "hazard": fault.hazard,
        "wrong": fault.wrong,
        "runs": len(runs),
        "caught_at_run": {name: _first(runs, name) for name in DETECTORS},
        "said": {name: _said(runs, name) for name in DETECTORS},
        "seconds": round(time.perf_counter() - start, 2),
    }


def measure_clean(scenario: Scenario, plan: PowerPlan, on_run: Callable[[], object]) -> dict[str, Any]:
    """Run the wrapper without a fault; return how often each detector raised a false alarm, and what it said."""
    references = scenario.alone(SteppedWrapper)
    alarms: list[dict[str, Any]] = []
    for turn in range(plan.clean_runs):
        run = scenario.run(SteppedWrapper, references, turn)
        if _alarms(run):
            alarms.append({"run": turn + 1, **asdict(run)})
        on_run()
    counts = {name: sum(bool(alarm[name]) for alarm in alarms) for name in DETECTORS}
    return {"runs": plan.clean_runs, "false_alarms": counts, "alarms": alarms}


def _shown(runs: list[Run]) -> bool:
    return any(getattr(run, name) for run in runs for name in _BY_OUTPUT)


def _alarms(run: Run) -> bool:
    return run.hung or any(getattr(run, name) for name in DETECTORS)


def _first(runs: list[Run], detector: str) -> int | None:
    return next((turn for turn, run in enumerate(runs, 1) if getattr(run, detector)), None)


def _said(runs: list[Run], detector: str) -> str:
    return next((getattr(run, detector)[0] for run in runs if getattr(run, detector)), "")
