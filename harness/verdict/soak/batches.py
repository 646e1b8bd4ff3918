"""Batches that were ended and resumed: nothing half-written, nothing lost, and in the end what stock comes to."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from harness.run.soak.batches import FULL, SIGINT, SIGKILL

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from harness.run.soak.records import BatchCycle, BatchRun

_EXIT = {SIGKILL: -9, SIGINT: 130, FULL: 1}


def batch_findings(cycles: Iterable[BatchCycle]) -> list[str]:
    """Return a line for everything that is not as it has to be."""
    return [
        f"batch {number}, run {place} ({run.fault or 'left alone'}): {finding}"
        for number, cycle in enumerate(cycles, 1)
        for place, run in enumerate(cycle.runs, 1)
        for finding in _wrong(run, cycle.expected, is_last=run is cycle.runs[-1])
    ]


def batch_faults(cycles: Iterable[BatchCycle]) -> dict[str, dict[str, int]]:
    """Return for each fault of batches how often it was planned and happened."""
    planned: Counter[str] = Counter()
    happened: Counter[str] = Counter()
    for cycle in cycles:
        for run in cycle.runs:
            if run.fault:
                planned[f"batch: {run.fault}"] += 1
                happened[f"batch: {run.fault}"] += run.fired
    return {fault: {"planned": count, "happened": happened[fault]} for fault, count in planned.items()}


def _wrong(run: BatchRun, expected: dict[str, str], *, is_last: bool) -> Iterator[str]:
    wanted = _EXIT[run.fault] if run.fired else 0
    if run.exit_status != wanted:
        yield f"exit status {run.exit_status}, not {wanted}"
    if run.traceback:
        yield "it showed a traceback"
    yield from _wrong_files(run, expected)
    if run.fault != SIGKILL or not run.fired:  # else it could write no manifest, nor clean up; the next run has to
        yield from _wrong_manifest(run, expected)
    if is_last and set(run.after) != set(expected):
        yield f"{len(run.after)} of {len(expected)} files are there"


def _wrong_files(run: BatchRun, expected: dict[str, str]) -> Iterator[str]:
    foreign = [name for name, digest in run.after.items() if expected.get(name) != digest]
    if foreign:
        yield f"{', '.join(foreign)}: not what stock comes to"
    gone = [name for name in run.before if name not in run.after]
    if gone:
        yield f"{', '.join(gone)}: there before, and gone"


def _wrong_manifest(run: BatchRun, expected: dict[str, str]) -> Iterator[str]:
    if run.partial:
        yield f"{', '.join(run.partial)}: left half-written"
    if set(run.statuses) != set(expected):
        yield f"its manifest tells of {len(run.statuses)} of {len(expected)} items"
    for name, status in run.statuses.items():
        if (status == "succeeded") != (name in run.after):
            yield f"{name}: {status}, and its file is {'there' if name in run.after else 'not there'}"
        if status == "failed" and not run.errors.get(name):
            yield f"{name}: failed without saying why"
