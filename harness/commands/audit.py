"""`python -m harness audit TARGET --out DIR`: say which shared state calls write, where, and what harm it does.

Exit status: 0 the subject is SAFE; 1 it is UNSAFE; 2 wrong usage, or the target is not a subject;
3 inconclusive, a call that raises by itself included.
"""

from __future__ import annotations

import os
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import arguments
from harness.errors import ReferenceFailedError
from harness.run.quiet import quieten_upstream
from harness.verdict.judge import EXIT_INCONCLUSIVE, EXIT_PROVEN, EXIT_UNSAFE

if TYPE_CHECKING:
    import argparse

EXIT_STATUS = {"SAFE": EXIT_PROVEN, "UNSAFE": EXIT_UNSAFE, "INCONCLUSIVE": EXIT_INCONCLUSIVE}
DEFAULT_REQUESTS = 8
# Of the whole command, by the clock: it is to end within a minute, and finishes what it is at when the time is up.
LIMIT_S, RESERVE_S = 60.0, 8.0
# Where imports and the model take half of that, all is as slow: the audit gets this many times as long, up to a minute.
OF_THE_START = 2.0
# This module is the first to be imported that takes time. The process may be older: whoever waited for a free core
# before it became this program has not used the minute up.
STARTED = time.monotonic()
AUDITED = 3
OWN_FILES = frozenset({"audit.json", "clips", "index.html", "charts"})


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `audit` takes."""
    parser.add_argument("target", metavar="TARGET", help="a built-in subject, or package.module:factory")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where audit.json goes")
    parser.add_argument(
        "--seed", type=arguments.whole_number, default=0, help="seed of the default workload (default: %(default)s)"
    )
    parser.add_argument(
        "--requests",
        type=arguments.positive_int,
        default=DEFAULT_REQUESTS,
        help="requests of the default workload, for a target without its own (default: %(default)s)",
    )
    parser.add_argument(
        "--threads", type=arguments.positive_int, default=8, help="of the concurrent runs (default: %(default)s)"
    )
    parser.add_argument(
        "--seconds",
        type=arguments.positive_seconds,
        default=None,
        help="time for watching, trials and remedies (default: what is left of a minute after start-up; on a slow "
        "machine twice as long as that took, up to a minute)",
    )
    arguments.add_model_arguments(parser)
    parser.epilog = "exit status: 0 SAFE, 1 UNSAFE, 2 wrong usage or not a subject, 3 INCONCLUSIVE"


def run(parsed: argparse.Namespace) -> int:
    """Run the whole command and return its exit status."""
    source = arguments.model_source(parsed)
    quieten_upstream()
    # Calls are overlapped on purpose; threads inside one operation would only make each of them wait for the others.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    import torch  # noqa: PLC0415 - takes seconds to import

    from harness.audit.auditor import audit  # noqa: PLC0415 - imports torch
    from harness.audit.result import AuditResult  # noqa: PLC0415
    from harness.audit.table import audit_lines  # noqa: PLC0415
    from harness.audit.target import find_target  # noqa: PLC0415
    from harness.environment import describe_environment  # noqa: PLC0415
    from harness.report.draw import draw_report  # noqa: PLC0415

    make = find_target(parsed.target, source)
    arguments.check_device(source.device)
    arguments.claim_folder(parsed.out, OWN_FILES)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        subject = make()
    requests = subject.requests or _default_requests(parsed)
    try:
        seconds = parsed.seconds or time_after(time.monotonic() - STARTED)
        result = audit(subject, requests, threads=parsed.threads, budget=seconds, patience=1, note=_progress)
    except ReferenceFailedError as error:
        reason = str(error).splitlines()[0]
        AuditResult(subject.name, "INCONCLUSIVE", reason, environment=describe_environment()).save(parsed.out)
        raise
    finally:
        _progress("")
    environment = describe_environment(torch.get_num_threads())
    result = replace(result, facts={**result.facts, "environment": environment}, environment=environment)
    result.save(parsed.out)
    print("\n".join(audit_lines(result)))  # noqa: T201 - the result goes to standard output
    print(f"\nReport: {draw_report(parsed.out)}")  # noqa: T201
    return EXIT_STATUS[result.verdict]


def time_after(start_up_s: float) -> float:
    """Seconds that an audit gets if none are asked for: what is left of a minute, or what a slow machine needs."""
    return max(LIMIT_S - RESERVE_S - start_up_s, min(OF_THE_START * start_up_s, LIMIT_S))


def _default_requests(parsed: argparse.Namespace) -> tuple[object, ...]:
    from harness.workload.speech import make_workload  # noqa: PLC0415 - imports torch

    workload = make_workload(parsed.seed, parsed.requests, parsed.out.resolve())
    # An audit runs every request dozens of times, and length changes neither what is written nor where.
    short = [item for item in workload.utterances if item.length == "short"] or list(workload.utterances)
    return tuple(item.request for item in sorted(short, key=lambda item: len(item.request.text)))[:AUDITED]


def _progress(message: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{message}", end="", file=sys.stderr, flush=True)  # noqa: T201 - a progress line
