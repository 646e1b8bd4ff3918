"""`python -m harness report DIR`: draw charts and page again, from the saved data alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

BENCH_FILE = "bench.json"
BENCH_OBSERVATIONS = "bench-observations.jsonl"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `report` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of an earlier run")


def run(parsed: argparse.Namespace) -> int:
    """Draw the report of whichever command's data the folder holds, and say where it lies."""
    from harness.report.bench.page import draw_bench  # noqa: PLC0415 - imports matplotlib
    from harness.report.stress import draw_stress  # noqa: PLC0415 - the same

    if (parsed.folder / BENCH_OBSERVATIONS).exists() and not (parsed.folder / BENCH_FILE).exists():
        _judge_what_was_seen(parsed.folder)
    draw = draw_bench if (parsed.folder / BENCH_FILE).exists() else draw_stress
    print(f"Report: {draw(parsed.folder)}")  # noqa: T201 - the result goes to standard output
    return 0


def _judge_what_was_seen(folder: Path) -> None:
    """Judge a benchmark that was cut off: every observation is on disk as soon as it is made."""
    from harness.observations.bench_store import read_bench_observations  # noqa: PLC0415 - imports NumPy
    from harness.verdict.bench.result import judge_bench, save_bench  # noqa: PLC0415 - the same

    save_bench(judge_bench(read_bench_observations(folder / BENCH_OBSERVATIONS)), folder)
