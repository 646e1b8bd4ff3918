from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.run.soak.records import SegmentEnding, SoakReference, SoakRound, Submission
from harness.run.soak.schedule import (
    CANCELLED,
    CLIP_DELETED,
    DISK_FULL,
    HANGS,
    KILLED_ONCE,
    KILLED_TWICE,
    RAISES,
    STALLS,
)
from harness.verdict.soak.segments import SegmentCounts, count_segments

GOOD = SegmentEnding(0, True, sha256="a", samples=10, peak=0.5, file_sha256="f")
REFERENCES = {"r": SoakReference("r", "a", "f", 10, 0.1)}
ROUND = SoakRound("soak", 0, 1.0, False, (), (), (), (), (), 1.0, 0, 0)


def failed(*kinds: str) -> SegmentEnding:
    return SegmentEnding(0, False, error=(*kinds, "Exception"), message="why")


def judged(*endings: SegmentEnding, fault: str = "", happened: bool = True, **more: Any) -> SegmentCounts:  # noqa: ANN401 - fields of SoakRound
    fired = ((0, fault),) if fault and happened else ()
    seen = replace(ROUND, submissions=(Submission(0, "r", fault),), endings=endings, fired=fired, **more)
    return count_segments([seen], REFERENCES)


def test_a_result_as_it_should_be() -> None:
    counts = judged(GOOD)
    assert (counts.submitted, counts.succeeded, counts.failed, counts.unaffected, counts.said) == (1, 1, 0, 1, {})


@pytest.mark.parametrize(
    ("endings", "kind"),
    [
        ((), "lost"),
        ((GOOD, GOOD), "duplicates"),
        ((GOOD, replace(GOOD, index=9)), "duplicates"),
        ((replace(GOOD, peak=9e-5),), "silent"),
        ((replace(GOOD, samples=0),), "silent"),
        ((replace(GOOD, sha256="b"),), "different"),
        ((replace(GOOD, file_sha256="g"),), "different"),
        ((replace(GOOD, file_sha256=""),), "different"),
        ((failed("OSError"),), "unexpected"),
        ((replace(failed("OSError"), error=()),), "unexpected"),
    ],
)
def test_what_happens_to_an_unaffected_segment_is_found(endings: tuple[SegmentEnding, ...], kind: str) -> None:
    counts = judged(*endings)
    assert {name: len(said) for name, said in counts.said.items()} == {kind: 1}
    assert getattr(counts, kind) == 1


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (RAISES["mel"], "InjectedError"),
        (KILLED_TWICE, "WorkerDiedError"),
        (STALLS, "SegmentTimeoutError"),
        (HANGS, "SegmentTimeoutError"),
    ],
)
def test_a_fault_that_happened_has_to_be_told_of_as_what_it_is(fault: str, error: str) -> None:
    assert judged(failed(error), fault=fault).said == {}
    assert list(judged(GOOD, fault=fault).said) == ["swallowed"]
    assert list(judged(failed("KeyError"), fault=fault).said) == ["unexpected"]
    assert list(judged(failed(error), fault=fault, happened=False).said) == ["unexpected"]
    assert judged(GOOD, fault=fault, happened=False).said == {}
    assert list(judged(replace(failed(error), sha256="a"), fault=fault).said) == ["unexpected"], "audio of a failure"
    assert list(judged(replace(failed(error), message=""), fault=fault).said) == ["unexpected"], "no word of it"


def test_some_faults_may_come_too_late() -> None:
    for fault, error in ((CLIP_DELETED, "InvalidClipError"), (CANCELLED, "SegmentCancelledError")):
        assert judged(failed(error), fault=fault).said == judged(GOOD, fault=fault).said == {}
        assert list(judged(failed("KeyError"), fault=fault).said) == ["unexpected"]


def test_a_worker_that_dies_once_is_no_excuse() -> None:
    assert judged(GOOD, fault=KILLED_ONCE).said == {}
    assert list(judged(failed("WorkerDiedError"), fault=KILLED_ONCE).said) == ["unexpected"]


def test_a_full_disk_has_to_be_told_of_and_leaves_no_file() -> None:
    full = replace(GOOD, file_sha256="", file_error=("OSError", "Exception"))
    counts = judged(full, fault=DISK_FULL)
    assert (counts.said, counts.not_written, counts.faults[DISK_FULL]["failed"]) == ({}, 1, 1)
    assert list(judged(GOOD, fault=DISK_FULL).said) == ["swallowed"]
    assert list(judged(replace(full, file_sha256="x"), fault=DISK_FULL).said) == ["swallowed"]


def test_what_a_shutdown_cancels_is_allowed_then_alone() -> None:
    assert judged(failed("SegmentCancelledError"), shut_down=True).said == {}
    assert list(judged(failed("SegmentCancelledError")).said) == ["unexpected"]


def test_faults_are_tallied() -> None:
    counts = judged(failed("InjectedError"), fault=RAISES["mel"])
    assert counts.faults[RAISES["mel"]] == {
        "planned": 1,
        "happened": 1,
        "identical": 0,
        "failed": 1,
        "lost": 0,
        "different": 0,
        "silent": 0,
    }
