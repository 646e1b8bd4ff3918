"""`python -m harness explore HAZARD --out DIR`: find the interleaving of two calls that shows a hazard.

`--replay FILE` plays a saved one again. Exit status: 0 it broke every time it was played again; 1 it did not, or none
was found; 2 wrong usage, or a file that cannot be played here.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.commands import arguments
from harness.errors import UsageError
from harness.hazards.catalogue import CATALOGUE
from harness.run.quiet import quieten_upstream

if TYPE_CHECKING:
    import argparse

    from harness.explore.finding import Finding

DEFAULT_REPLAYS = 10
DEFAULT_SECONDS = 60.0
# Set by frontrun's own command line, which has to start the process that searches.
UNDER_FRONTRUN = "FRONTRUN_ACTIVE"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `explore` takes."""
    parser.add_argument("hazard", nargs="?", metavar="HAZARD", help="id of a hazard, as `hazards` lists them")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where HAZARD.json and HAZARD.txt go")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="play a saved interleaving again instead")
    parser.add_argument("--replays", type=arguments.positive_int, default=DEFAULT_REPLAYS, help="default: %(default)s")
    parser.add_argument(
        "--seconds",
        type=arguments.positive_seconds,
        default=DEFAULT_SECONDS,
        help="longest search, seconds (default: 60)",
    )


def run(parsed: argparse.Namespace) -> int:
    """Search or replay, and return the exit status."""
    if (parsed.hazard is None) == (parsed.replay is None):
        raise UsageError("give either a HAZARD or --replay FILE")
    if parsed.hazard is not None and parsed.out is None:
        raise UsageError("--out: say where the interleaving is to be saved")
    if parsed.hazard is not None and parsed.hazard not in {each.id for each in CATALOGUE}:
        raise UsageError(f"no hazard {parsed.hazard!r}; there are {', '.join(each.id for each in CATALOGUE)}")
    if UNDER_FRONTRUN not in os.environ:
        return _again_under_frontrun(parsed)
    quieten_upstream()
    return _replay(parsed.replay, parsed.replays) if parsed.replay else _explore(parsed)


def _explore(parsed: argparse.Namespace) -> int:
    from harness.explore.search import NothingFoundError, search  # noqa: PLC0415 - imports torch
    from harness.explore.targets import TARGETS  # noqa: PLC0415
    from harness.explore.written import play, playable  # noqa: PLC0415

    if parsed.hazard not in TARGETS and parsed.hazard not in playable():
        raise UsageError(f"{parsed.hazard!r} has not been shown, so there is no interleaving of it to find")
    parsed.out.mkdir(parents=True, exist_ok=True)
    try:
        searched = parsed.hazard in TARGETS
        finding = (
            search(parsed.hazard, parsed.replays, parsed.seconds) if searched else play(parsed.hazard, parsed.replays)
        )
    except NothingFoundError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command line's message
        return 1
    data, _ = finding.save(parsed.out)
    print(finding.told())  # noqa: T201 - the result goes to standard output
    print(f"Saved: {data}")  # noqa: T201
    return _status(finding.reproduced, finding.replays)


def _replay(path: Path, times: int) -> int:
    from harness.explore.finding import SEARCHED, load  # noqa: PLC0415 - after the arguments were checked

    finding = load(path)
    reproduced = _reproduced(finding, times, searched=finding.method == SEARCHED)
    print(f"{finding.hazard}: played again {times} times, broken {reproduced} times.")  # noqa: T201
    return _status(reproduced, times)


def _reproduced(finding: Finding, times: int, *, searched: bool) -> int:
    from harness.explore.search import replay  # noqa: PLC0415 - imports torch
    from harness.explore.written import play  # noqa: PLC0415

    if searched:
        return replay(finding.hazard, [int(step) for step in finding.schedule], times)
    return play(finding.hazard, times).reproduced


def _status(reproduced: int, times: int) -> int:
    return 0 if reproduced == times else 1


def _again_under_frontrun(parsed: argparse.Namespace) -> int:
    """Run this command once more, in a process started by frontrun's command line."""
    options = ["--replays", str(parsed.replays), "--seconds", str(parsed.seconds)]
    if parsed.out is not None:
        options += ["--out", str(parsed.out)]
    chosen = ["--replay", str(parsed.replay)] if parsed.replay else [parsed.hazard]
    start = "import sys; from frontrun.cli import main; sys.exit(main(sys.argv[1:]))"
    inner = [sys.executable, "-W", "ignore", "-m", "harness", "explore", *chosen, *options]
    # A schedule counts bytecodes, and how many a loop over a set of strings takes depends on their hashes.
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    return subprocess.run([sys.executable, "-c", start, *inner], check=False, env=environment).returncode  # noqa: S603 - ourselves again
