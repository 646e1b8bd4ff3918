"""The harness's own commands on the working tree: stress, audit, hazards. None of them is timed, so two run at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.audit.unfinished import TIME_WAS_UP, is_left
from harness.hazards.verdict import confirmed_on_stock, not_played
from harness.run.gate.process import environment
from harness.run.gate.records import CommandOutcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ENDS_WITHIN_S = 900.0
STRESS = ("stress", "--subjects", "upstream-shared,stateless", "--threads", "1,4,8", "--utterances", "4")
SHORT_STRESS = ("stress", "--subjects", "upstream-shared,stateless", "--threads", "4", "--utterances", "3")
HAZARDS = ("hazards", "--repeats", "1")
QUICK_HAZARDS = ("hazards", "--repeats", "1", "--only", "shared-t3cond,mel-tables,rewritten-reference,zero-guidance")
AUDIT = ("audit", "stateless")


@dataclass(frozen=True)
class Command:
    """A command line, and what to read from the file it leaves behind."""

    name: str
    arguments: tuple[str, ...]
    result: str
    read: Callable[[dict[str, Any]], tuple[str, dict[str, int]]]


def read_stress(result: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """Return the run's own reason."""
    return str(result["run"]["reason"]), {}


def read_audit(result: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """Return the audit's own reason, and what it counted.

    A write under a lock that the audit had no time to judge counts as none: with time it may turn out to be guarded.
    The audit itself is inconclusive then.
    """
    draws = sum(draw["generator"] != "own" for draw in result["draws"])
    waiting = sum(bool(write["guard"]) and is_left(write["harmful"], write["evidence"]) for write in result["writes"])
    text = f"{result['verdict']}: {result['reason']}"
    if waiting:
        text += f"; for {waiting} of them, each under a lock, {TIME_WAS_UP}"
    return text, {"writes": len(result["writes"]) - waiting, "shared draws": draws}


def read_hazards(result: dict[str, Any]) -> tuple[str, dict[str, int]]:
    """Return on how many hazards the project was tried and where it failed; what could not be told is named only."""
    tried = [row for row in result["hazards"] if row["stateless"] is not None]
    failed = [row["id"] for row in tried if row["stateless"]["failed"]]
    stuck = [row["id"] for row in tried if row["id"] not in failed and not_played(row["stateless"])]
    stock = [row["id"] for row in result["hazards"] if not confirmed_on_stock(row)]
    text = f"{len(tried) - len(failed) - len(stuck)} of {len(tried)} hazards do not touch this project"
    if failed:
        text += f"; {', '.join(failed)} do"
    if stuck:
        text += f"; {len(stuck)} could not be played, because calls wait for each other: {', '.join(stuck)}"
    if stock:
        text += f"; stock itself did not do as the catalogue says: {', '.join(stock)}"
    return text, {"failed": len(failed)}


def commands_of(*, short: bool) -> tuple[Command, ...]:
    """What is run on the working tree."""
    return (
        Command("stress", SHORT_STRESS if short else STRESS, "stress.json", read_stress),
        Command("hazards", QUICK_HAZARDS if short else HAZARDS, "hazards.json", read_hazards),
        Command("audit", AUDIT, "audit.json", read_audit),
    )


def run_commands(commands: tuple[Command, ...], tree: Path, out: Path) -> Iterator[CommandOutcome]:
    """Run `commands` in `tree`, each into a folder of its name in `out`; yield how each ended, in their order.

    Whoever takes no more of them, or is told to leave, ends those that run.
    """
    started: list[subprocess.Popen[str]] = []
    at_once = max(1, min(2, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1))
    with ThreadPoolExecutor(at_once) as executor:
        try:
            yield from executor.map(lambda command: _run(command, tree, out, started), commands)
        finally:
            for process in started:
                process.terminate()  # nothing happens to one that has ended


def _run(command: Command, tree: Path, out: Path, started: list[subprocess.Popen[str]]) -> CommandOutcome:
    folder = out / command.name
    line = [sys.executable, "-m", "harness", *command.arguments, "--out", str(folder)]
    with subprocess.Popen(  # noqa: S603 - this package's own command line
        line, cwd=tree, env=environment(tree), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as done:
        started.append(done)
        try:
            _, told = done.communicate(timeout=ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            done.kill()
            return CommandOutcome(command.name, None, f"did not end within {ENDS_WITHIN_S:g} s")
    detail = "" if done.returncode == 0 else " | ".join(told.strip().splitlines()[-2:])
    try:
        headline, figures = command.read(json.loads((folder / command.result).read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError) as error:
        # Whatever status it ended with, it has concluded nothing.
        said = f"ended with status {done.returncode} and left no {command.result}: {error}"
        return CommandOutcome(command.name, None, said, detail=detail)
    return CommandOutcome(command.name, done.returncode, headline, figures, detail)
