"""The power of the detectors as a Markdown table, fit for the README and the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


def markdown(result: Mapping[str, Any]) -> str:
    """Return the table of `power.json`: a line per fault, and one for the runs without a fault."""
    detectors: list[str] = result["detectors"]
    head = ("planted fault", "what is wrong", *(f"caught by `{name}` at run" for name in detectors))
    lines = [head, ("---",) * len(head)]
    for row in result["faults"]:
        caught = (_turn(row["caught_at_run"].get(name), row["runs"]) for name in detectors)
        lines.append((f"`{row['fault']}`", row["wrong"], *caught))
    clean = result["clean"]
    false = (f"{clean['false_alarms'].get(name, 0)} false alarms in {clean['runs']} runs" for name in detectors)
    lines.append(("none", "nothing", *false))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def _turn(run: int | None, runs: int) -> str:
    return f"not in {runs}" if run is None else str(run)
