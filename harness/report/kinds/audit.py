"""An audit: which shared state a subject's calls write, where, what harm it does, and what mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.audit.result import FILE, NEEDED, SCHEMA
from harness.audit.watch.events import OWN
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import TONES, Field, Part, Section, Table, Tone
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

# Subjects of this project; an audit of anything else finds out about somebody else's code.
OURS = ("stateless", "engine", "f5-stateless")
HARM: dict[bool | None, tuple[str, Tone]] = {
    True: ("harmful", "bad"), None: ("undecided", "unsure"), False: ("benign", "good"),
}  # fmt: skip
WORST_FIRST = (True, None, False)


def load(folder: Path) -> dict[str, Any]:
    """Read `audit.json` of `folder`."""
    return load_result(folder / FILE, SCHEMA, needed=NEEDED, key="schema")


def part(result: Mapping[str, Any]) -> Part:
    """Lay out an audit."""
    shared = [draw for draw in result["draws"] if draw["generator"] != OWN]
    own = [draw for draw in result["draws"] if draw["generator"] == OWN]
    facts = dict(result["facts"])
    environment = facts.pop("environment", {})
    sections = [
        Section("Writes to shared state", _count(result["writes"], "write"), _writes(result["writes"])),
        Section("Draws from generators that calls share", _count(shared, "draw"), _draws(shared)),
        Section("Concurrent runs", (_stress(result["stress"]),)),
    ]
    if own:
        sections.append(Section("Draws from a call's own generator", table=_own_draws(own), folded=True))
    if result["guarded"]:
        sections.append(
            Section("Written, but consistent by themselves", table=_guarded(result["guarded"]), folded=True)
        )
    sections.append(environment_section(environment, facts))
    verdict = result["verdict"]
    source = f"{FILE} (schema {result['schema']}), which has the stacks and schedules too."
    counted = str(result["subject"]).startswith(OURS)
    reason = str(result["reason"]).rstrip(".") + "."
    return Part(
        f"Audit of {result['subject']}", verdict, TONES[verdict], reason, tuple(sections), source, counted=counted
    )


KIND = Kind("audit", 30, (FILE,), load, part)


def _count(entries: Sequence[Mapping[str, Any]], what: str) -> tuple[str, ...]:
    if not entries:
        return (f"No {what} was seen.",)
    tally = [(label, sum(entry["harmful"] is harm for entry in entries)) for harm, (label, _) in HARM.items()]
    return (", ".join(f"{count} {label}" for label, count in tally if count) + ".",)


def _writes(writes: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = []
    for write in sorted(writes, key=lambda write: WORST_FIRST.index(write["harmful"])):
        more = f" (and {len(write['paths']) - 1} more paths)" if len(write["paths"]) > 1 else ""
        text, tone = HARM[write["harmful"]]
        rows.append(
            (
                Field(write["path"] + more), Field(write["kind"]), Field(write["location"]), Field(text, tone),
                Field(write["evidence"]), Field(_remedies(write)),
            )
        )  # fmt: skip
    heads = ("Path", "Kind", "Where", "", "Evidence", "Remedies")
    return Table(heads, tuple(rows)) if rows else None


def _draws(draws: Sequence[Mapping[str, Any]]) -> Table | None:
    rows = []
    for draw in sorted(draws, key=lambda draw: WORST_FIRST.index(draw["harmful"])):
        text, tone = HARM[draw["harmful"]]
        rows.append(
            (
                Field(draw["op"]), Field(draw["generator"]), Field(draw["location"]), Field(text, tone),
                Field(draw["evidence"]), Field(_remedies(draw)),
            )
        )  # fmt: skip
    heads = ("Operation", "Generator", "Where", "", "Evidence", "Remedies")
    return Table(heads, tuple(rows)) if rows else None


def _remedies(entry: Mapping[str, Any]) -> str:
    return "; ".join(f"{remedy['name']}: {remedy['result']}" for remedy in entry["remedies"]) or "-"


def _own_draws(draws: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple((Field(draw["op"]), Field(draw["location"]), Field(str(draw["count"]), number=True)) for draw in draws)
    return Table(("Operation", "Where", "Seen"), rows)


def _guarded(held: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple((Field(one["path"]), Field(one["location"]), Field(one["guard"])) for one in held)
    return Table(("Path", "Where", "What keeps it consistent"), rows)


def _stress(stress: Mapping[str, Any]) -> str:
    if not stress["calls"]:
        return f"None were made: {stress['example']}." if stress["example"] else "None were made."
    example = f" For example: {stress['example']}." if stress["example"] else ""
    return f"{stress['changed']} of {stress['calls']} calls on {stress['threads']} threads changed.{example}"
