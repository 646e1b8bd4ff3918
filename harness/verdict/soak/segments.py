"""Every segment's ending beside what its fault allows: what is lost, doubled, silent, different, or failed unasked."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.run.soak import schedule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.run.soak.records import SegmentEnding, SoakReference, SoakRound, Submission

# -80 dBFS: what nobody would hear.
SILENCE_PEAK = 1e-4
_EXAMPLES = 5
# What a segment ends with once its fault has happened ...
_MUST_FAIL = {
    **dict.fromkeys(schedule.RAISES.values(), "InjectedError"),
    schedule.KILLED_TWICE: "WorkerDiedError",
    schedule.STALLS: "SegmentTimeoutError",
    schedule.HANGS: "SegmentTimeoutError",
}
# ... or may end with, if it came in time.
_MAY_FAIL = {schedule.CLIP_DELETED: "InvalidClipError", schedule.CANCELLED: "SegmentCancelledError"}
_SHUT_DOWN_ERROR = "SegmentCancelledError"
OUTCOMES = ("identical", "failed", "lost", "different", "silent")


@dataclass
class SegmentCounts:
    """What became of the segments of some rounds.

    Attributes:
        submitted: segments handed in.
        succeeded: results with audio.
        failed: results that are explicit failures.
        not_written: results whose audio could not be written, as was told.
        unaffected: segments to which nothing was done.
        lost: segments without a result.
        duplicates: results beyond the first of a segment, and results of none.
        silent: successes that nobody would hear.
        different: successes whose bits are not those of stock alone, in memory or in the file.
        swallowed: faults that happened and that no failure tells of.
        unexpected: failures of segments that should have succeeded, or with another exception than their fault's.
        faults: for each, how many were planned, happened, and what became of the segments.
        said: a line for each of the first findings of a kind.
    """

    submitted: int = 0
    succeeded: int = 0
    failed: int = 0
    not_written: int = 0
    unaffected: int = 0
    lost: int = 0
    duplicates: int = 0
    silent: int = 0
    different: int = 0
    swallowed: int = 0
    unexpected: int = 0
    faults: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(_no_fault))
    said: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def find(self, kind: str, line: str) -> None:
        """Count a finding."""
        setattr(self, kind, getattr(self, kind) + 1)
        if len(self.said[kind]) < _EXAMPLES:
            self.said[kind].append(line)

    def as_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {**vars(self), "faults": {**self.faults}, "said": {**self.said}}


def count_segments(rounds: Iterable[SoakRound], references: Mapping[str, SoakReference]) -> SegmentCounts:
    """Go through `rounds` and count."""
    counts = SegmentCounts()
    for seen in rounds:
        _count_round(counts, seen, references)
    return counts


def _count_round(counts: SegmentCounts, seen: SoakRound, references: Mapping[str, SoakReference]) -> None:
    endings: dict[int, list[SegmentEnding]] = defaultdict(list)
    for ending in seen.endings:
        endings[ending.index].append(ending)
    fired = {fault for index, fault in seen.fired if index < 0}
    happened = set(seen.fired)
    for fault in fired:
        counts.faults[fault]["planned"] += 1
        counts.faults[fault]["happened"] += 1
    for submission in seen.submissions:
        where = f"{seen.phase} {seen.number}, segment {submission.index} ({submission.request})"
        mine = endings.pop(submission.index, [])
        for _ in mine[1:]:
            counts.find("duplicates", f"{where}: {len(mine)} results")
        fault_happened = (submission.index, submission.fault) in happened
        _count_segment(counts, seen, submission, mine, references, where, fault_happened)
    for index, strays in endings.items():
        for _ in strays:
            counts.find(
                "duplicates", f"{seen.phase} {seen.number}: segment {index} was not handed in, and has a result"
            )


def _count_segment(
    counts: SegmentCounts,
    seen: SoakRound,
    submission: Submission,
    endings: Sequence[SegmentEnding],
    references: Mapping[str, SoakReference],
    where: str,
    happened: bool,
) -> None:
    fault = submission.fault
    counts.submitted += 1
    counts.unaffected += not fault and not seen.shut_down
    if not endings:
        counts.find("lost", f"{where}: no result")
        outcome = "lost"
    elif endings[0].success:
        outcome = _judge_success(counts, submission, endings[0], references[submission.request], where, happened)
    else:
        outcome = _judge_failure(counts, seen, submission, endings[0], where, happened)
    if fault:
        tally = counts.faults[fault]
        tally["planned"] += 1
        tally["happened"] += happened
        tally[outcome] += 1


def _judge_success(
    counts: SegmentCounts,
    submission: Submission,
    ending: SegmentEnding,
    reference: SoakReference,
    where: str,
    happened: bool,
) -> str:
    counts.succeeded += 1
    if happened and submission.fault in _MUST_FAIL:
        counts.find("swallowed", f"{where}: {submission.fault!r} happened, and the result is a success")
    if not ending.samples or ending.peak < SILENCE_PEAK:
        counts.find("silent", f"{where}: a success with a peak of {ending.peak:.1e}")
        return "silent"
    if ending.sha256 != reference.sha256:
        counts.find("different", f"{where}: not the bits of stock alone")
        return "different"
    if submission.fault == schedule.DISK_FULL and happened:
        if "OSError" in ending.file_error and not ending.file_sha256:
            counts.not_written += 1
            return "failed"
        counts.find("swallowed", f"{where}: the disk was full, and nothing tells of it")
    elif ending.file_sha256 != reference.file_sha256:
        counts.find("different", f"{where}: its file is not what was to be written")
        return "different"
    return "identical"


def _judge_failure(
    counts: SegmentCounts, seen: SoakRound, submission: Submission, ending: SegmentEnding, where: str, happened: bool
) -> str:
    counts.failed += 1
    fault = submission.fault
    allowed = {_MAY_FAIL.get(fault, "")}
    if happened:
        allowed.add(_MUST_FAIL.get(fault, ""))
    if seen.shut_down:
        allowed.add(_SHUT_DOWN_ERROR)
    if not ending.error or not allowed & set(ending.error) or ending.sha256 or not ending.message:
        told = f"{ending.error[0]}: {ending.message}" if ending.error else "no exception"
        counts.find("unexpected", f"{where}, fault {fault or 'none'!r}: {told}")
    return "failed"


def _no_fault() -> dict[str, int]:
    return Counter(dict.fromkeys(("planned", "happened", *OUTCOMES), 0))
