"""`python -m harness report DIR`: draw charts and page of all results in a folder, from the saved data alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError

if TYPE_CHECKING:
    import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `report` takes."""
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of earlier runs, or of folders of them")


def run(parsed: argparse.Namespace) -> int:
    """Draw one page of whatever the folder holds, and say where it lies."""
    from harness.report.draw import draw_report  # noqa: PLC0415 - imports matplotlib

    if not parsed.folder.is_dir():
        raise UsageError(f"DIR: no folder {str(parsed.folder)!r}")
    print(f"Report: {draw_report(parsed.folder)}")  # noqa: T201 - the result goes to standard output
    return 0
