"""A gate's calibration: how often it fails a revision that is itself, and how often it catches a slow-down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.observations.gate_store import CALIBRATION as FILE
from harness.observations.gate_store import CALIBRATION_OBSERVATIONS as OBSERVATIONS
from harness.observations.gate_store import CALIBRATION_VERSION as VERSION
from harness.report.charts.calibration import shares
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table, Tone, numbers
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NEEDED = frozenset({"environment", "conditions", "goal", "method", "ways"})
SLOWED = 0.2
# How the answers were come by: counted first, and what takes more for granted after it.
WAYS = {
    "gates": "whole gates",
    "first_runs": "first runs",
    "both_ways": "first runs, both ways",
    "all_pairs": "all pairs of runs",
}


def load(folder: Path) -> dict[str, Any]:
    """Read `calibration.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out a calibration."""
    conditions, goal = result["conditions"], result["goal"]
    status, tone, summary = _verdict(conditions, goal)
    sections = (
        Section(
            "How often the gate says FAIL",
            (result["method"], *(result["ways"][way] for way in WAYS)),
            _answers(conditions),
            (shares(conditions, goal),),
        ),
        Section("If two runs are independent", (result["ways"]["if_independent"],), _bounds(conditions)),
        Section("What was really seen", table=_measured(conditions), folded=True),
        Section("A/A floor", table=_floor(result.get("aa_floor") or {}), folded=True),
        environment_section(result["environment"], _facts(result)),
    )
    source = f"{FILE} ({VERSION}); raw observations are in {OBSERVATIONS} beside it."
    return Part("Calibration of the gate", status, tone, summary, sections, source)


KIND = Kind("calibration", 6, (FILE,), load, part)


def _verdict(conditions: Sequence[Mapping[str, Any]], goal: Mapping[str, float]) -> tuple[str, Tone, str]:
    """Hold the whole gates against the goal; an interval that reaches across it neither meets nor misses it."""
    same = next((one["gates"] for one in conditions if not one["injected"]), None)
    slow = next((one["gates"] for one in conditions if abs(one["injected"] - SLOWED) < SLOWED / 10), None)
    if not same or not slow or not same["gates"] or not slow["gates"]:
        return "NOT MEASURED", "unsure", "The same revision twice, or the slow-down of 20 %, was not measured."
    said = (
        f"{same['fail']} of {same['gates']} gates failed a revision against itself ({_spread(same)}; goal: at most "
        f"{100 * goal['false_fail']:g} %); {slow['fail']} of {slow['gates']} caught a slow-down of 20 % "
        f"({_spread(slow)}; goal: at least {100 * goal['power_20']:g} %)."
    )
    if same["fail_low"] > goal["false_fail"] or slow["fail_high"] < goal["power_20"]:
        return "GOAL MISSED", "bad", said
    if same["fail_high"] <= goal["false_fail"] and slow["fail_low"] >= goal["power_20"]:
        return "GOAL MET", "good", said
    within = same["fail_share"] <= goal["false_fail"] and slow["fail_share"] >= goal["power_20"]
    return ("WITHIN THE GOAL" if within else "OUTSIDE THE GOAL"), "unsure", f"{said} Too few gates to be sure."


def _spread(counts: Mapping[str, Any]) -> str:
    return f"95 % interval {100 * counts['fail_low']:.1f} to {100 * counts['fail_high']:.1f} %"


def _answers(conditions: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for condition in conditions:
        for key, way in WAYS.items():
            counts = condition.get(key)
            if counts and counts["gates"]:
                spread = "-" if counts.get("fail_low") is None else _spread(counts).removeprefix("95 % interval ")
                tally = (str(counts[name]) for name in ("gates", "fail", "inconclusive", "pass"))
                share = f"{100 * counts['fail_share']:.1f} %"
                rows.append((Field(condition["name"]), Field(way), *numbers((*tally, share, spread))))
    heads = ("Condition", "From", "Number", "FAIL", "INCONCLUSIVE", "PASS", "Share of FAIL", "95 % interval")
    return Table(heads, tuple(rows))


def _bounds(conditions: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for condition in conditions:
        ends = (condition["if_independent"][end] for end in ("at_least", "at_most"))
        shown = tuple("-" if end is None else f"{100 * end:.2f} %" for end in ends)
        rows.append((Field(condition["name"]), *numbers(shown)))
    return Table(("Condition", "FAIL at least", "FAIL at most"), tuple(rows))


def _measured(conditions: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple(
        (
            Field(condition["name"]), Field(row["metric"]),
            *numbers((
                f"{row['median']:.3f}", f"{row['low']:.3f} to {row['high']:.3f}", str(row["failed_runs"]),
            )),
        )
        for condition in conditions
        for row in condition["measured"]
    )  # fmt: skip
    return Table(("Condition", "Metric", "Times as bad", "95 % interval", "Runs that failed by it"), rows)


def _floor(floor: Mapping[str, float]) -> Table:
    rows = tuple((Field(name), Field(f"{value:.3f}", number=True)) for name, value in floor.items())
    return Table(("Metric", "Strays by at most"), rows)


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    names = ("stage", "rounds_per_gate", "blocks", "seconds")
    return {name.replace("_", " "): result[name] for name in names if name in result}
