"""`python -m harness hazards --out DIR`: reproduce every hazard of the catalogue, on stock and on `stateless_tts`.

Exit status: 0 everything is as the catalogue says; 1 something is not; 2 wrong usage.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.commands import arguments
from harness.errors import UsageError
from harness.hazards.catalogue import CATALOGUE, Hazard, find
from harness.hazards.verdict import FILE, VERSION, confirmed
from harness.run.quiet import quieten_upstream
from harness.verdict.saved import save_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

TABLE = "hazards.md"
OWN_FILES = frozenset({FILE, TABLE, "index.html", "charts"})
DEFAULT_REPEATS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `hazards` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and table go")
    parser.add_argument("--only", type=arguments.names, metavar="IDS", help="hazards to run, with commas between them")
    parser.add_argument(
        "--repeats",
        type=arguments.positive_int,
        default=DEFAULT_REPEATS,
        help="how often each reproduction is run (default: %(default)s)",
    )


def run(parsed: argparse.Namespace) -> int:
    """Run the reproductions, save what they saw and the table, and return the exit status."""
    chosen = _chosen(parsed.only)
    arguments.claim_folder(parsed.out, OWN_FILES)
    quieten_upstream()
    from harness.hazards.table import markdown  # noqa: PLC0415 - after the arguments were checked
    from harness.report.draw import draw_report  # noqa: PLC0415 - the same

    result = _measure(chosen, parsed.repeats)
    save_result(result, parsed.out / FILE)
    table = markdown(result["hazards"])
    (parsed.out / TABLE).write_text(table, encoding="utf-8")
    wrong = [row["id"] for row in result["hazards"] if not confirmed(row)]
    print(table)  # noqa: T201 - the result goes to standard output
    print(f"{len(chosen) - len(wrong)} of {len(chosen)} hazards are as the catalogue says.")  # noqa: T201
    if wrong:
        print(f"Not as it says: {', '.join(wrong)}")  # noqa: T201
    print(f"Report: {draw_report(parsed.out)}")  # noqa: T201
    return 1 if wrong else 0


def _chosen(only: tuple[str, ...] | None) -> tuple[Hazard, ...]:
    if only is None:
        return CATALOGUE
    chosen = []
    for name in only:
        hazard = find(name)
        if hazard is None:
            raise UsageError(f"--only: no hazard {name!r}; there are {', '.join(each.id for each in CATALOGUE)}")
        chosen.append(hazard)
    return tuple(chosen)


def _measure(chosen: tuple[Hazard, ...], repeats: int) -> Mapping[str, Any]:
    import torch  # noqa: PLC0415 - takes seconds to import
    from tqdm import tqdm  # noqa: PLC0415 - after upstream's own progress bars were switched off

    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.hazards.bench import Bench  # noqa: PLC0415
    from harness.hazards.measure import measure  # noqa: PLC0415

    rows = []
    with tempfile.TemporaryDirectory(prefix="hazards-") as folder:
        bench = Bench(Path(folder))
        with tqdm(total=len(chosen), unit="hazard", file=sys.stderr, disable=False) as bar:
            for hazard in chosen:
                bar.set_description(hazard.id)
                rows.append(measure(hazard, bench, repeats))
                bar.update()
    return {"version": VERSION, "environment": describe_environment(torch.get_num_threads()), "hazards": rows}
