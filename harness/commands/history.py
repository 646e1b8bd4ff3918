"""`python -m harness history DIR...`: a metric of many saved results over their commits, and where it made a step.

Exit status: 0 drawn; 2 wrong usage, or a file that cannot be used.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import arguments
from harness.errors import SavedFileError, UsageError
from harness.verdict.history import DEFAULT_METRIC, FILE, judge_history, saved_run
from harness.verdict.saved import save_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from harness.verdict.history import SavedRun

DEFAULT_OUT = Path("reports/history")
OWN_FILES = frozenset({FILE, "index.html", "charts"})
# Two results make the shortest line.
LEAST_RESULTS = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `history` takes."""
    parser.add_argument(
        "folders", type=Path, nargs="+", metavar="DIR", help="folders of earlier runs, or of folders of them"
    )
    parser.add_argument(
        "--metric",
        default=DEFAULT_METRIC,
        metavar="NAME",
        help="metric, * standing for anything; a wrong one lists those there are (default: %(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=DEFAULT_OUT, metavar="DIR", help="where data and page go (default: %(default)s)"
    )


def run(parsed: argparse.Namespace) -> int:
    """Read the results, order them, find the steps, save and draw them."""
    from harness.commits import commit_dates  # noqa: PLC0415 - after the arguments were checked
    from harness.report.draw import draw_report  # noqa: PLC0415 - imports matplotlib

    for folder in parsed.folders:
        if not folder.is_dir():
            raise UsageError(f"DIR: no folder {str(folder)!r}")
    runs = list(saved_runs(parsed.folders))
    if len(runs) < LEAST_RESULTS:
        raise UsageError(
            f"DIR: {len(runs)} usable results in {', '.join(map(str, parsed.folders))}; a history takes two"
        )
    dates = commit_dates(run.commit.removesuffix("-dirty") for run in runs)
    result = judge_history(runs, parsed.metric, dates)
    arguments.claim_folder(parsed.out, OWN_FILES)
    save_result(result, parsed.out / FILE)
    page = draw_report(parsed.out)
    print(f"{result['run']['status']}: {result['run']['reason']}")  # noqa: T201 - the result goes to standard output
    print(f"\nReport: {page}")  # noqa: T201
    return 0


def saved_runs(folders: Sequence[Path]) -> Iterator[SavedRun]:
    """Yield every result in the folders and below that tells metrics; one that is reached twice comes once.

    Raises:
        SavedFileError: one is damaged, cut off, of another version, or tells no commit, date or machine.
    """
    from harness.report.draw import find_results  # noqa: PLC0415 - imports matplotlib
    from harness.report.kind import all_kinds  # noqa: PLC0415 - the same

    kinds = [kind for kind in all_kinds() if kind.metrics is not None]
    seen = set()
    for folder in folders:
        for place, kind in sorted(find_results(folder, kinds), key=lambda one: (one[0], one[1].order)):
            file = folder / place / kind.files[0]
            if file.resolve() in seen or not file.exists():
                continue
            seen.add(file.resolve())
            result = kind.load(file.parent)
            assert kind.metrics is not None
            try:
                metrics = kind.metrics(result)
            except (LookupError, TypeError, ValueError, AttributeError) as error:
                raise SavedFileError(f"{file}: an entry is missing or of the wrong kind: {error!r}") from error
            command = result.get("command")
            device = command.get("device") if isinstance(command, dict) else None
            yield saved_run(str(file), result.get("environment"), metrics, str(device or "cpu"))
