"""`python -m harness replay CASE`: play one small workload again, and say which calls differ from themselves alone.

Exit status: 0 none ever did; 1 some did; 2 wrong usage.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import arguments
from harness.errors import UsageError
from harness.replay.case import Case
from harness.run.quiet import quieten_upstream

if TYPE_CHECKING:
    import argparse

DEFAULT_TIMES = 5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `replay` takes."""
    parser.add_argument("case", metavar="CASE", help="the JSON line that a failed property test prints")
    parser.add_argument(
        "--times", type=arguments.positive_int, default=DEFAULT_TIMES, help="how often (default: %(default)s)"
    )
    parser.add_argument("--fault", metavar="NAME", help="plant a fault of `python -m harness power` in the wrapper")


def run(parsed: argparse.Namespace) -> int:
    """Play the case and return the exit status."""
    case = Case.from_json(parsed.case)
    quieten_upstream()
    from harness.power.faults import FAULTS  # noqa: PLC0415 - imports torch
    from harness.replay.bench import tiny_player  # noqa: PLC0415
    from harness.run.torch_threads import one_torch_thread  # noqa: PLC0415

    if parsed.fault is not None and parsed.fault not in {fault.name for fault in FAULTS}:
        raise UsageError(f"--fault: no fault {parsed.fault!r}; there are {', '.join(each.name for each in FAULTS)}")
    _check_requests(case)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="replay-") as folder, one_torch_thread():
        player = tiny_player(Path(folder), parsed.fault)
        for turn in range(parsed.times):
            differences = player.differences(case)
            failed += bool(differences)
            for difference in differences:
                print(f"time {turn + 1}: {difference}", file=sys.stderr)  # noqa: T201 - a command line's message
    print(f"{failed} of {parsed.times} times some call differed from itself alone.")  # noqa: T201
    return 1 if failed else 0


def _check_requests(case: Case) -> None:
    from stateless_tts import StatelessTTSError  # noqa: PLC0415 - imports torch

    for place, utterance in enumerate(case.utterances):
        try:
            utterance.request({})
        except StatelessTTSError as error:
            raise UsageError(f"utterance {place}: {error}") from error
