"""`python -m harness soak --out DIR`: minutes of use with faults everywhere; save what was seen, and judge it.

Memory is measured with one heap for all threads, where the system can: see `harness.run.memory.share_one_heap`.

Exit status: 0 nothing was lost, doubled, silent or different, and the same run caught every planted defect;
1 something was; 2 wrong usage; 3 inconclusive: the run proved nothing, and says why.
"""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import arguments
from harness.errors import UsageError
from harness.run.limits import MAX_THREADS
from harness.run.memory import share_one_heap
from harness.run.quiet import quieten_upstream
from harness.verdict.soak import FILE as RESULT

if TYPE_CHECKING:
    import argparse

OBSERVATIONS, TABLE = "soak-observations.jsonl", "soak.md"
OWN_FILES = frozenset({OBSERVATIONS, TABLE, RESULT, "index.html", "charts"})
DEFAULT_SECONDS, MOST_SECONDS = 480.0, 540.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `soak` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and table go")
    parser.add_argument("--seed", type=arguments.whole_number, default=0, help="of requests and faults (default: 0)")
    parser.add_argument(
        "--seconds",
        type=arguments.positive_seconds,
        default=DEFAULT_SECONDS,
        help="for all of it, about; at most %g (default: %%(default)g)" % MOST_SECONDS,  # noqa: UP031 - for argparse too
    )
    parser.add_argument("--workers", type=arguments.positive_int, default=16, help="1 to 16 (default: 16)")
    parser.epilog = "exit status: 0 proven, 1 something was lost or wrong, 2 wrong usage, 3 inconclusive"


def run(parsed: argparse.Namespace) -> int:
    """Run the whole command and return its exit status."""
    if parsed.seconds > MOST_SECONDS:
        raise UsageError(f"--seconds {parsed.seconds:g}: expected at most {MOST_SECONDS:g}")
    if parsed.workers > MAX_THREADS:
        raise UsageError(f"--workers {parsed.workers}: expected 1 to {MAX_THREADS}")
    arguments.claim_folder(parsed.out, OWN_FILES)
    one_heap = share_one_heap()
    quieten_upstream()
    _observe(parsed)

    import torch  # noqa: PLC0415

    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.observations.soak_store import read_soak  # noqa: PLC0415
    from harness.report.draw import draw_report  # noqa: PLC0415 - matplotlib
    from harness.report.soak import soak_markdown  # noqa: PLC0415
    from harness.verdict.saved import save_result  # noqa: PLC0415
    from harness.verdict.soak.result import judge_soak  # noqa: PLC0415

    facts = {
        "environment": describe_environment(torch.get_num_threads()),
        "command": {
            "seed": parsed.seed,
            "seconds": parsed.seconds,
            "workers": parsed.workers,
            "one_heap": one_heap,
        },
    }
    result = judge_soak(read_soak(parsed.out / OBSERVATIONS), facts)
    save_result(result, parsed.out / RESULT)
    table = soak_markdown(result)
    (parsed.out / TABLE).write_text(table, encoding="utf-8")
    print(table)  # noqa: T201 - the result goes to standard output
    print(f"Report: {draw_report(parsed.out)}")  # noqa: T201
    return int(result["verdict"]["exit_status"])


def _observe(parsed: argparse.Namespace) -> None:
    from harness.observations.soak_store import SoakWriter  # noqa: PLC0415 - imports torch
    from harness.run.soak.campaign import SoakCampaign, SoakPlan  # noqa: PLC0415

    with (
        warnings.catch_warnings(),
        Path(os.devnull).open("w", encoding="utf-8") as nowhere,
        contextlib.redirect_stdout(nowhere),  # upstream prints a line for every call
        SoakWriter(parsed.out / OBSERVATIONS) as writer,
    ):
        warnings.simplefilter("ignore")
        plan = SoakPlan(seed=parsed.seed, seconds=parsed.seconds, workers=parsed.workers)
        SoakCampaign(plan, writer, lambda line: print(line, file=sys.stderr, flush=True)).run()  # noqa: T201 - progress
