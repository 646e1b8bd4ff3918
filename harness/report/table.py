"""A stress run in plain text, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.plain_text import number

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

HEADS = (
    "subject",
    "threads",
    "identical",
    "value",
    "shape",
    "crash",
    "hang",
    "after",
    "utt/s",
    "speed-up",
    "peak MiB",
)


def stress_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the table of cells, a verdict line per subject, and what the run proved."""
    rows = [HEADS, *(_row(cell) for cell in result["cells"])]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADS))]
    lines = [_line(row, widths) for row in rows]
    longest = max(len(name) for name in result["verdicts"])
    lines.append("")
    for name, status in result["verdicts"].items():
        lines.append(f"{name:<{longest}}  {status:<12}  {result['reasons'][name]}")
    lines += ["", f"{result['run']['status']}: {result['run']['reason']}"]
    return lines


def _row(cell: Mapping[str, Any]) -> tuple[str, ...]:
    after = {True: "clean", False: "DIFFERS", None: "-"}[cell["sequential_after_ok"]]
    if cell["not_run"]:
        return (cell["subject"], str(cell["threads"]), "not run", *["-"] * (len(HEADS) - 3))
    return (
        cell["subject"],
        str(cell["threads"]),
        f"{cell['bit_identical']}/{cell['utterances']}",
        str(cell["value_corruptions"]),
        str(cell["shape_corruptions"]),
        str(cell["crashes"]),
        str(cell["hangs"]),
        after,
        number(cell["utterances_per_s"], 2),
        number(cell["speedup"], 2),
        number(cell["peak_rss_mib"], 0),
    )


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *rest = (
        text.ljust(width) if column == 0 else text.rjust(width)
        for column, (text, width) in enumerate(zip(row, widths, strict=True))
    )
    return "  ".join((first, *rest))
