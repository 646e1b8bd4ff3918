"""The power of the detectors: which planted fault each caught, and the false alarms without a fault."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.power.verdict import FILE, NEEDED, VERSION, missed
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def load(folder: Path) -> dict[str, Any]:
    """Read `power.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out the power of the detectors."""
    faults, clean = result["faults"], result["clean"]
    uncaught, alarms = missed(result), len(clean["alarms"])
    summary = (
        f"{len(faults) - len(uncaught)} of {len(faults)} planted faults were caught, "
        f"with {alarms} false alarms in {clean['runs']} runs without a fault."
    )
    if uncaught:
        summary += f" Missed: {', '.join(uncaught)}."
    status = "FAULTS MISSED" if uncaught else "FALSE ALARMS" if alarms else "ALL CAUGHT"
    sections = (
        Section("Planted faults", ("The run at which each detector first caught the fault.",), _faults(result)),
        Section("Without a fault", table=_clean(result)),
        Section("What the detectors said", table=_said(result), folded=True),
        environment_section(result["environment"], {"threads": result.get("threads")}),
    )
    tone = "bad" if uncaught or alarms else "good"
    return Part("Power of the detectors", status, tone, summary, sections, f"{FILE} ({VERSION}).")  # type: ignore[arg-type] # one of two literals


KIND = Kind("power", 50, (FILE,), load, part)


def _faults(result: Mapping[str, Any]) -> Table:
    rows = []
    for row in result["faults"]:
        caught = (row["caught_at_run"].get(name) for name in result["detectors"])
        fields = (Field(f"not in {row['runs']}") if run is None else Field(f"run {run}", "good") for run in caught)
        name = Field(row["fault"], "plain" if any(row["caught_at_run"].values()) else "bad")
        rows.append((name, Field(row["wrong"]), *fields))
    return Table(("Fault", "What is wrong", *result["detectors"]), tuple(rows))


def _clean(result: Mapping[str, Any]) -> Table:
    clean = result["clean"]
    rows = []
    for name in result["detectors"]:
        alarms = clean["false_alarms"].get(name, 0)
        rows.append(
            (Field(name), Field(str(alarms), "bad" if alarms else "good"), Field(str(clean["runs"]), number=True))
        )
    return Table(("Detector", "False alarms", "Runs"), tuple(rows))


def _said(result: Mapping[str, Any]) -> Table:
    rows = tuple(
        (Field(row["fault"]), Field(name), Field(said))
        for row in result["faults"]
        for name, said in row["said"].items()
        if said
    )
    return Table(("Fault", "Detector", "What it said"), rows)
