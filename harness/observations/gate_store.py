"""Save a gate's raw observations and its results, and read them back."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError, UsageError
from harness.observations.lines import LineWriter, read_lines
from harness.run.gate.records import CommandOutcome, GateCell, RevisionCounts, Round, ThreadedBits, Turn

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

OBSERVATIONS_VERSION = "gate-observations/1"
GATE_VERSION = "gate/1"
CALIBRATION_VERSION = "gate-calibration/2"
OBSERVATIONS, RESULT = "gate-observations.jsonl", "gate.json"
CALIBRATION_OBSERVATIONS, CALIBRATION = "calibration-observations.jsonl", "calibration.json"


@dataclass(frozen=True)
class GateObservations:
    """All that was seen in one gate, or in one calibration.

    Attributes:
        facts: revisions, command line, environment.
        counts: what the processes counted, base's and head's.
        commands: how the harness's own commands ended.
        rounds: in the order they ran.
    """

    facts: dict[str, Any]
    counts: tuple[RevisionCounts, ...]
    commands: tuple[CommandOutcome, ...]
    rounds: tuple[Round, ...]


class GateWriter(LineWriter):
    """Context manager that writes `path` line by line."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(path, OBSERVATIONS_VERSION, facts=dict(facts))

    def add(self, record: RevisionCounts | CommandOutcome | Round) -> None:
        """Append one record."""
        self._write(type(record).__name__, asdict(record))


def read_gate_observations(path: Path) -> GateObservations:
    """Read what a `GateWriter` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, or of another version.
    """
    counts: list[RevisionCounts] = []
    commands: list[CommandOutcome] = []
    rounds: list[Round] = []
    try:
        lines = read_lines(path, OBSERVATIONS_VERSION)
        facts = dict(lines[0]["facts"])
        for line in lines[1:]:
            kind = line.pop("line")
            if kind == "Round":
                rounds.append(_round(line))
            elif kind == "RevisionCounts":
                counts.append(_counts(line))
            else:
                commands.append(CommandOutcome(**line))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as a gate's observations: {error!r}") from error
    return GateObservations(facts, tuple(counts), tuple(commands), tuple(rounds))


def merge_calibrations(runs: Sequence[GateObservations]) -> GateObservations:
    """Put calibrations of one commit on one machine together; their blocks follow each other.

    Raises:
        UsageError: they are not of the same environment, commit, rounds and cells, hold the same round twice, or
            hold no complete block.
    """
    first = runs[0]
    wanted = _calibrated(first)
    rounds: list[Round] = []
    seen: set[str] = set()
    for run in runs:
        found = _calibrated(run)
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise UsageError(
                    f"--merge: {name} {found.get(name)!r} beside {wanted.get(name)!r}; expected calibrations of one "
                    f"commit on one machine"
                )
        for one in run.rounds:
            # Figures of seconds to the last digit: no two rounds that were measured are alike.
            if (turns := repr(one.turns)) in seen:
                raise UsageError(
                    f"--merge: round {one.number} of block {one.run} was there already; expected each measurement once"
                )
            seen.add(turns)
        last = max((one.run for one in rounds), default=0)
        rounds += [replace(one, run=last + one.run) for one in run.rounds]
    of_blocks = Counter(one.run for one in rounds)
    if wanted["rounds"] not in of_blocks.values():
        raise UsageError(
            f"--merge: no complete block; the largest has {max(of_blocks.values(), default=0)} rounds of "
            f"{wanted['rounds']}"
        )
    return GateObservations(first.facts, (), (), tuple(rounds))


def _calibrated(run: GateObservations) -> dict[str, Any]:
    """Return what calibrations must have in common: all but when they were measured."""
    try:
        command = run.facts["command"]
        return {
            **{name: value for name, value in run.facts["environment"].items() if name not in {"date", "commit"}},
            "harness": run.facts["environment"].get("commit"),
            "commit": run.facts["base"]["commit"],
            **{name: command[name] for name in ("rounds", "short", "workers")},
        }
    except KeyError as error:
        raise UsageError(f"--merge: observations do not tell {error}; expected those of --calibrate") from error


def _round(line: dict[str, Any]) -> Round:
    turns = tuple(
        Turn(**{**turn, "cells": tuple(GateCell(**cell) for cell in turn["cells"])}) for turn in line["turns"]
    )
    return Round(**{**line, "turns": turns})


def _counts(line: dict[str, Any]) -> RevisionCounts:
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in line.items()}
    plain["threaded"] = tuple(ThreadedBits(**one) for one in line["threaded"])
    return RevisionCounts(**plain)
