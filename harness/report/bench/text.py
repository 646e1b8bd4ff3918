"""A benchmark in plain text, for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.bench.tables import interval, outputs
from harness.report.plain_text import aligned, number

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADS = ("contestant", "workers", "utt/s", "audio s/s", "times stock", "cpu s/audio s", "outputs")


def bench_lines(result: Mapping[str, Any]) -> list[str]:
    """Return the scaling table of each part, the targets, and the sentence that sums them up."""
    lines: list[str] = []
    for part, rows in result["table"].items():
        lines += [f"[{part}]", *aligned([HEADS, *(_row(row) for row in rows)]), ""]
    targets = [("target", "wanted", "measured", "", "note")]
    for row in result["targets"]:
        met = {True: "met", False: "NOT MET", None: "-"}[row["met"]]
        sign = "<=" if row["most"] else ">="
        targets.append((row["what"], f"{sign} {row['at_least']:.2f}", number(row["measured"], 2), met, row["note"]))
    lines += [*aligned(targets), "", f"{result['run']['status']}: {result['run']['reason']}"]
    return lines


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    if row["not_run"]:
        return (row["subject"], str(row["workers"]), *["-"] * 4, row["not_run"])
    medians = (number(row[key]["median"] if row[key] else None, 3) for key in ("utterances_per_s", "audio_s_per_s"))
    cpu = number(row["cpu_s_per_audio_s"]["median"] if row["cpu_s_per_audio_s"] else None, 2)
    return (row["subject"], str(row["workers"]), *medians, interval(row["speedup"]), cpu, outputs(row))
