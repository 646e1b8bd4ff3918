"""The hazard catalogue as measured: every reproduction, on stock and on `stateless_tts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.hazards.catalogue import Status
from harness.hazards.verdict import FILE, NEEDED, VERSION, confirmed, not_played, told
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table, Tone
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def load(folder: Path) -> dict[str, Any]:
    """Read `hazards.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out the catalogue."""
    rows = result["hazards"]
    wrong = [row["id"] for row in rows if not confirmed(row)]
    tally = [(status, sum(row["status"] == status for row in rows)) for status in Status]
    counts = ", ".join(f"{count} {status}" for status, count in tally if count)
    summary = f"{len(rows) - len(wrong)} of {len(rows)} hazards are as the catalogue says: {counts}."
    if wrong:
        summary += f" Not as it says: {', '.join(wrong)}."
    sections = (
        Section(
            "Hazards",
            (
                (
                    "Shown: the reproduction fails on stock every time. Refuted: it never does. Read: seen in the "
                    "code only. On stateless_tts nothing may ever fail."
                ),
            ),
            _table(rows),
        ),
        Section("Evidence", table=_evidence(rows), folded=True),
        environment_section(result["environment"]),
    )
    status = "NOT CONFIRMED" if wrong else "CONFIRMED"
    return Part(
        "Hazards of shared state", status, "bad" if wrong else "good", summary, sections, f"{FILE} ({VERSION})."
    )


KIND = Kind("hazards", 40, (FILE,), load, part)


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    heads = ("#", "Hazard", "Place", "Effect", "Status", "Stock", "stateless_tts")
    return Table(heads, tuple(_row(row) for row in rows))


def _row(row: Mapping[str, Any]) -> tuple[Field, ...]:
    stock, stateless = row["stock"], row["stateless"]
    note = f" ({row['note']})" if row["note"] else ""
    ours = Field(row["why_not"] or "-")
    if stateless is not None:
        tone: Tone = "bad" if stateless["failed"] else "unsure" if not_played(stateless) else "good"
        ours = Field(told(stateless), tone)
    return (
        Field(str(row["row"]), number=True),
        Field(f"{row['id']}: {row['title']}"),
        Field(row["place"]),
        Field(f"{row['effect']}{note}"),
        Field(row["status"], "plain" if confirmed(row) else "bad"),
        Field("not run" if stock is None else f"fails {stock['failed']} of {stock['trials']}"),
        ours,
    )


def _evidence(rows: Sequence[Mapping[str, Any]]) -> Table:
    found = tuple(
        (Field(row["id"]), Field(who), Field(row[key]["evidence"]), Field(f"{row[key]['slowest_s']:.1f}", number=True))
        for row in rows
        for who, key in (("stock", "stock"), ("stateless_tts", "stateless"))
        if row[key] is not None
    )
    return Table(("Hazard", "On", "What was seen", "Slowest, s"), found)
