"""The verdicts of several saved audits in one table, in Markdown: `python -m harness.audit.summary DIR ...`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.audit.result import FILE, NEEDED, SCHEMA
from harness.audit.watch.events import OWN
from harness.audit.watch.locate import short
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD = "| subject | verdict | writes (harmful) | shared draws (harmful) | first harmful | remedies that hold |"


def read_audit(folder: Path) -> dict[str, Any]:
    """The data of `folder`/audit.json."""
    return load_result(folder / FILE, SCHEMA, needed=NEEDED, key="schema")


def summary_lines(audits: Iterable[dict[str, Any]]) -> list[str]:
    """A Markdown table with one row for each audit."""
    return [HEAD, "|" + " --- |" * 6, *map(_row, audits)]


def _row(audit: dict[str, Any]) -> str:
    draws = [draw for draw in audit["draws"] if draw["generator"] != OWN]
    harmful = [entry for entry in (*audit["writes"], *draws) if entry["harmful"]]
    first, remedies = "-", "-"
    if harmful:
        name = harmful[0].get("path") or harmful[0]["op"]
        first = f"`{name}` at `{short(harmful[0]['location'])}`"
        remedies = ", ".join(each["name"] for each in harmful[0]["remedies"] if each["result"] == "holds") or "none"
    counts = [f"{len(found)} ({sum(each['harmful'] is True for each in found)})" for found in (audit["writes"], draws)]
    return f"| {audit['subject']} | {audit['verdict']} | {counts[0]} | {counts[1]} | {first} | {remedies} |"


def main(arguments: Sequence[str]) -> int:
    """Print the table of the folders named."""
    print("\n".join(summary_lines(read_audit(Path(folder)) for folder in arguments)))  # noqa: T201 - its output
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
