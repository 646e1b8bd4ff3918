from __future__ import annotations

from typing import TYPE_CHECKING

from harness.power.faults import FAULTS
from harness.power.measure import PowerPlan, measure_clean, measure_fault

if TYPE_CHECKING:
    from harness.power.scenario import Scenario


def test_a_fault_that_always_shows_is_caught_in_the_first_run(scenario: Scenario) -> None:
    fault = next(each for each in FAULTS if each.name == "seed-from-counter")
    row = measure_fault(fault, scenario, PowerPlan(least_runs=1, most_runs=1))
    assert row["caught_at_run"]["concurrent"] == 1
    assert row["said"]["concurrent"].startswith("request ")


def test_a_leak_that_no_output_shows_is_left_to_the_look_at_what_stays(scenario: Scenario) -> None:
    fault = next(each for each in FAULTS if each.name == "hooks-left-behind")
    row = measure_fault(fault, scenario, PowerPlan(least_runs=1, most_runs=1))
    assert row["caught_at_run"] == {"concurrent": None, "after": None, "residue": 1}
    assert "model.t3.tfmr._forward_hooks" in row["said"]["residue"]


def test_without_a_fault_nothing_speaks_up(scenario: Scenario) -> None:
    turns: list[None] = []
    clean = measure_clean(scenario, PowerPlan(clean_runs=2), lambda: turns.append(None))
    assert clean["alarms"] == []
    assert len(turns) == clean["runs"] == 2
