"""`python -m harness gate --out DIR`: is the working tree worse than an earlier revision?

Exit status: 0 PASS; 1 FAIL; 2 wrong usage, or a revision that cannot be measured; 3 INCONCLUSIVE.
"""

from __future__ import annotations

import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from harness.commands import arguments
from harness.errors import UsageError
from harness.gate.floors import PUBLISHED, choose_floor
from harness.gate.revisions import choose_base, open_repository
from harness.observations.gate_store import (
    CALIBRATION,
    CALIBRATION_OBSERVATIONS,
    CALIBRATION_VERSION,
    OBSERVATIONS,
    RESULT,
    GateWriter,
    merge_calibrations,
    read_gate_observations,
)
from harness.verdict.gate.answers import Floor
from harness.verdict.gate.counts import ACCEPTABLE
from harness.verdict.saved import load_result, save_result

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from types import FrameType

    from harness.gate.conduct import GatePlan
    from harness.observations.gate_store import GateObservations
    from harness.verdict.gate.benchmarks import ComparedBenchmarks

LEAST_ROUNDS = 8
SUMMARY, CALIBRATION_SUMMARY = "gate.md", "calibration.md"
COMMANDS = ("stress", "audit", "hazards")
GATE_FILES = frozenset({OBSERVATIONS, RESULT, SUMMARY, *COMMANDS})
CALIBRATION_FILES = frozenset({CALIBRATION_OBSERVATIONS, CALIBRATION, CALIBRATION_SUMMARY})
DRAWN = frozenset({"index.html", "charts"})
CALIBRATION_BUDGET_S = 900.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `gate` takes."""
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="where data and summary go")
    parser.add_argument(
        "--base",
        metavar="REV",
        help="revision to compare with (default: the merge base with main; on main, the commit before)",
    )
    parser.add_argument(
        "--rounds", type=arguments.positive_int, default=LEAST_ROUNDS, help="of each run, at least 8 (default: 8)"
    )
    parser.add_argument("--short", action="store_true", help="fewer hazards, a shorter stress, no engine")
    parser.add_argument(
        "--accept",
        action="append",
        default=[],
        choices=ACCEPTABLE,
        metavar="NAME",
        help=f"a count that may be higher than base's this time: {', '.join(ACCEPTABLE)}",
    )
    parser.add_argument(
        "--benchmarks",
        nargs=2,
        type=Path,
        metavar=("BASE.json", "HEAD.json"),
        help="files that `pytest --benchmark-json` saved, judged as well",
    )
    parser.add_argument(
        "--calibration",
        type=Path,
        metavar="FILE",
        help=f"where the A/A floor comes from, if it is of this machine and kind of gate (default: {CALIBRATION} in "
        f"--out, or else {PUBLISHED})",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="time the last commit against itself, and with calls that take 10, 20 and 30 %% longer, by "
        "processor time burnt in one stage",
    )
    parser.add_argument(
        "--merge",
        type=Path,
        nargs="+",
        metavar="DIR",
        help="with --calibrate: measure nothing, and put together what these calibrations of one commit saw",
    )
    parser.add_argument(
        "--time-budget",
        type=arguments.positive_seconds,
        metavar="SECONDS",
        help=f"of a calibration (default: {CALIBRATION_BUDGET_S:g}); it ends with the last block that fits",
    )
    parser.epilog = "exit status: 0 PASS, 1 FAIL, 2 wrong usage or a revision that cannot be measured, 3 INCONCLUSIVE"


def run(parsed: argparse.Namespace) -> int:
    """Run the whole command and return its exit status."""
    if parsed.rounds < LEAST_ROUNDS:
        raise UsageError(
            f"--rounds: {parsed.rounds} are too few to tell a change from noise; at least {LEAST_ROUNDS} are needed"
        )
    if parsed.time_budget is not None and not parsed.calibrate:
        raise UsageError("--time-budget: only a calibration has one; a gate takes --rounds and --short")
    if parsed.merge and not parsed.calibrate:
        raise UsageError("--merge: only calibrations can be put together; expected --calibrate with it")
    if parsed.merge:
        merged = _merged(parsed.merge)
        arguments.claim_folder(parsed.out, CALIBRATION_FILES | DRAWN, beside=GATE_FILES)
        return _merge(merged, parsed.out)
    plan = _plan(parsed)
    benchmarks = _benchmarks(parsed, plan)
    own, beside = (CALIBRATION_FILES, GATE_FILES) if parsed.calibrate else (GATE_FILES, CALIBRATION_FILES)
    arguments.claim_folder(parsed.out, own | DRAWN, beside=beside)
    if not parsed.calibrate:
        for name in COMMANDS:
            shutil.rmtree(parsed.out / name, ignore_errors=True)
    # So that the base's work tree is removed and both processes end then, too.
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        return _calibrate(parsed, plan) if parsed.calibrate else _gate(parsed, plan, benchmarks)
    finally:
        signal.signal(signal.SIGTERM, before)


def _plan(parsed: argparse.Namespace) -> GatePlan:
    from harness.environment import describe_environment  # noqa: PLC0415 - imports psutil
    from harness.gate.conduct import GatePlan  # noqa: PLC0415 - imports NumPy and SciPy

    repository = open_repository(Path.cwd())
    # A calibration asks about the gate, not about a change: both sides are the last commit.
    base = choose_base(repository, "HEAD" if parsed.calibrate and parsed.base is None else parsed.base)
    environment = describe_environment(1)
    floor = Floor()
    if not parsed.calibrate:
        floor = choose_floor(parsed.calibration, parsed.out, repository.root, environment, short=parsed.short)
    return GatePlan(repository, base, parsed.out, parsed.rounds, parsed.short, tuple(parsed.accept), floor)


def _benchmarks(parsed: argparse.Namespace, plan: GatePlan) -> ComparedBenchmarks | None:
    if parsed.benchmarks is None:
        return None
    from harness.verdict.gate.benchmarks import (  # noqa: PLC0415 - imports NumPy
        MeasuredRevision,
        compare_benchmarks,
        read_benchmarks,
    )

    base, head = (read_benchmarks(path) for path in parsed.benchmarks)
    working_tree = MeasuredRevision(plan.repository.commit, plan.repository.dirty)
    return compare_benchmarks(base, head, plan.floor, (MeasuredRevision(plan.base.commit, dirty=False), working_tree))


def _gate(parsed: argparse.Namespace, plan: GatePlan, benchmarks: ComparedBenchmarks | None) -> int:
    from harness.gate.conduct import conduct_gate  # noqa: PLC0415 - as above
    from harness.report.draw import draw_report  # noqa: PLC0415 - matplotlib, which nobody needs before
    from harness.report.gate.markdown import gate_markdown  # noqa: PLC0415
    from harness.report.gate.text import gate_lines  # noqa: PLC0415
    from harness.verdict.gate.result import conclude, gate_json  # noqa: PLC0415

    began = time.monotonic()
    with GateWriter(parsed.out / OBSERVATIONS, _facts(parsed, plan)) as writer:
        conduct_gate(plan, writer, _tell)
    _tell("")
    observations = read_gate_observations(parsed.out / OBSERVATIONS)
    verdict = conclude(observations, plan.floor, plan.accepted, benchmarks)
    result = gate_json(observations, verdict, plan.floor, time.monotonic() - began, benchmarks)
    save_result(result, parsed.out / RESULT)
    (parsed.out / SUMMARY).write_text(gate_markdown(result), encoding="utf-8")
    print("\n".join(gate_lines(result)))  # noqa: T201 - the result goes to standard output
    print(f"\nReport: {draw_report(parsed.out)}, and {SUMMARY} beside it")  # noqa: T201
    return int(result["exit_status"])


def _calibrate(parsed: argparse.Namespace, plan: GatePlan) -> int:
    from harness.gate.conduct import conduct_calibration  # noqa: PLC0415 - as above

    began = time.monotonic()
    with GateWriter(parsed.out / CALIBRATION_OBSERVATIONS, _facts(parsed, plan)) as writer:
        conduct_calibration(plan, parsed.time_budget or CALIBRATION_BUDGET_S, writer, _tell)
    _tell("")
    return _conclude_calibration(parsed.out, time.monotonic() - began)


def _merged(folders: Sequence[Path]) -> tuple[GateObservations, float]:
    """Put the blocks of several calibrations together; returns them and the seconds that they took."""
    resolved = [folder.resolve() for folder in folders]
    twice = next((folder for place, folder in enumerate(folders) if resolved[place] in resolved[:place]), None)
    if twice is not None:
        raise UsageError(f"--merge: {twice} is named twice; expected each calibration once")
    merged = merge_calibrations([read_gate_observations(folder / CALIBRATION_OBSERVATIONS) for folder in folders])
    took = [load_result(folder / CALIBRATION, CALIBRATION_VERSION, needed={"seconds"})["seconds"] for folder in folders]
    return merged, sum(took)


def _merge(merged: tuple[GateObservations, float], out: Path) -> int:
    """Conclude from several calibrations as from one."""
    observations, seconds = merged
    with GateWriter(out / CALIBRATION_OBSERVATIONS, observations.facts) as writer:
        for one in observations.rounds:
            writer.add(one)
    return _conclude_calibration(out, seconds)


def _conclude_calibration(out: Path, seconds: float) -> int:
    from harness.report.draw import draw_report  # noqa: PLC0415 - matplotlib, which nobody needs before
    from harness.report.gate.calibration import calibration_markdown  # noqa: PLC0415
    from harness.verdict.gate.calibration import calibration_json  # noqa: PLC0415

    result = calibration_json(read_gate_observations(out / CALIBRATION_OBSERVATIONS), seconds)
    save_result(result, out / CALIBRATION)
    text = calibration_markdown(result)
    (out / CALIBRATION_SUMMARY).write_text(text, encoding="utf-8")
    print(text)  # noqa: T201 - the result goes to standard output
    print(f"Report: {draw_report(out)}")  # noqa: T201
    return 0


def _facts(parsed: argparse.Namespace, plan: GatePlan) -> dict[str, Any]:
    from harness.environment import describe_environment  # noqa: PLC0415 - imports psutil
    from harness.run.gate.rounds import CALLS  # noqa: PLC0415

    return {
        "environment": describe_environment(1),
        "command": {
            "rounds": plan.rounds,
            "short": plan.short,
            "workers": list(CALLS),
            "seed": 0,
            "accepted": list(plan.accepted),
            "benchmarks": parsed.benchmarks is not None,
        },
        "base": vars(plan.base),
        "head": {"commit": plan.repository.commit, "dirty": plan.repository.dirty, "note": "the working tree"},
    }


def _tell(what: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{what}", end="", file=sys.stderr, flush=True)  # noqa: T201 - a progress line
    elif what:
        print(what, file=sys.stderr, flush=True)  # noqa: T201


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(128 + signal.SIGTERM)
