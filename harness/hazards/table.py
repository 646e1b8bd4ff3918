"""The hazards as a Markdown table, fit for the README and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.hazards.verdict import told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HEAD = ("#", "hazard", "place", "effect", "status", "stock", "stateless_tts")


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the table of the rows of `hazards.json`, one line per hazard."""
    lines = [_HEAD, ("---",) * len(_HEAD), *(_cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    stock, stateless = row["stock"], row["stateless"]
    note = f" ({row['note']})" if row["note"] else ""
    return (
        str(row["row"]),
        f"`{row['id']}`: {row['title']}",
        f"`{row['place']}`",
        f"{row['effect']}{note}",
        str(row["status"]),
        "not run" if stock is None else f"fails {stock['failed']} of {stock['trials']}",
        row["why_not"] if stateless is None else told(stateless),
    )
