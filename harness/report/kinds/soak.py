"""A soak: every segment accounted for under injected faults, memory and threads afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table
from harness.verdict.saved import load_result
from harness.verdict.soak import FILE, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from harness.report.page import Tone

TONES: dict[str, Tone] = {"SAFE": "good", "UNSAFE": "bad"}
NEEDED = ("environment", "segments", "faults", "memory", "threads_left", "checks", "power", "verdict")
OUTCOMES = ("identical", "failed", "lost", "different", "silent")


def load(folder: Path) -> dict[str, Any]:
    """Read `soak.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out what was submitted, what became of it, and what the run proved that it can see."""
    verdict = result["verdict"]
    status = verdict["status"]
    sections = (
        Section("Checks", table=_checks(result["checks"])),
        Section("Segments", table=_segments(result["segments"])),
        Section(
            "Faults",
            ("What became of the segments that were to meet each; a failed one names its cause.",),
            _faults(result["faults"]),
        ),
        Section("Memory and threads", table=_memory(result)),
        Section("Planted defects", ("What the same run has to catch.",), _power(result)),
        environment_section(result["environment"], result["command"]),
    )
    return Part("Soak", status, TONES.get(status, "unsure"), f"{verdict['reason']}.", sections, f"{FILE} ({VERSION}).")


KIND = Kind("soak", 45, (FILE,), load, part)


def _checks(checks: Mapping[str, list[str]]) -> Table:
    rows = tuple(
        (Field(name), Field("; ".join(said) or "nothing", "bad" if said else "good")) for name, said in checks.items()
    )
    return Table(("Check", "Found"), rows)


def _segments(counts: Mapping[str, Any]) -> Table:
    whole = {name.replace("_", " "): value for name, value in counts.items() if isinstance(value, int)}
    return Table(("Segments", "Count"), tuple((Field(name), _number(value)) for name, value in whole.items()))


def _faults(faults: Mapping[str, Mapping[str, int]]) -> Table:
    rows = []
    for fault, tally in sorted(faults.items()):
        outcomes = (_number(tally[name]) if name in tally else Field("", number=True) for name in OUTCOMES)
        rows.append((Field(fault), _number(tally["planned"]), _number(tally["happened"]), *outcomes))
    return Table(("Fault", "Planned", "Happened", *(name.capitalize() for name in OUTCOMES)), tuple(rows))


def _memory(result: Mapping[str, Any]) -> Table:
    memory = result["memory"]
    slope = seen = "too few rounds"
    if memory is not None:
        slope = "{mib_per_1000_segments:+.1f} ({low:+.1f} to {high:+.1f}) at {resident_mib:.0f} MiB".format(**memory)
        seen = f"{memory['least_seen']:.1f}"
    rows = (
        ("MiB per 1000 segments (95 % interval)", slope),
        ("least leak that would have been seen, MiB per 1000 segments", seen),
        ("threads left", ", ".join(result["threads_left"]) or "none"),
        ("workers replaced", str(result["workers_replaced"])),
    )
    return Table(("What", "Value"), tuple((Field(name), Field(value)) for name, value in rows))


def _power(result: Mapping[str, Any]) -> Table:
    rows = tuple(
        (
            Field(row["planted"]),
            Field(row["check"]),
            Field("caught", "good") if row["caught"] else Field("MISSED", "bad"),
            Field(row["said"]),
        )
        for row in result["power"]
    )
    return Table(("Planted", "Check", "Caught", "What it said"), rows)


def _number(value: int) -> Field:
    return Field(str(value), number=True)
