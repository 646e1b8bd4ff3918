"""Planted faults are seen, told apart, and not seen any more once they are removed."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.verdict.cells import CellSummary, summarise
from harness.verdict.judge import Status, judge_subject
from tests.harness import toys

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Subject


def summary_of(subject: Subject, patience_s: float = toys.MEETING_TIMEOUT_S) -> CellSummary:
    (cell,) = summarise(toys.observe(subject, patience_s=patience_s), sample_rate=4)
    total = cell.bit_identical + cell.value_corruptions + cell.shape_corruptions
    assert total + cell.crashes + cell.hangs + cell.not_started == cell.utterances
    return cell


def test_a_clean_subject_is_bit_identical_and_measured() -> None:
    cell = summary_of(toys.clean())
    assert (cell.utterances, cell.completed, cell.bit_identical) == (4, 4, 4)
    assert cell.sequential_after_ok is True
    assert cell.errors == ()
    assert cell.wall_s > 0
    assert cell.utterances_per_s == pytest.approx(4 / cell.wall_s)
    assert cell.audio_s_per_s == pytest.approx(4 * 4 / 4 / cell.wall_s)
    assert cell.peak_rss_mib >= cell.rss_before_mib > 0


def test_every_call_tells_its_thread_and_when_it_began_and_ended() -> None:
    cell = summary_of(toys.shared_conditionals())
    assert {call.worker for call in cell.calls} <= {0, 1}
    assert [call.request for call in cell.calls] == [0, 1, 2, 3]
    assert "value" in {call.outcome for call in cell.calls}
    for call in cell.calls:
        assert call.started_s is not None
        assert call.ended_s is not None
        assert 0 <= call.started_s < call.ended_s <= cell.wall_s
        assert call.alone_s is not None
        assert call.alone_s > 0


PLANTED = {
    "shared conditionals": (toys.shared_conditionals, "value_corruptions"),
    "process-wide generator": (toys.process_generator, "value_corruptions"),
    "shared key/value cache": (toys.shared_cache, "shape_corruptions"),
    "voice rewritten in place": (toys.rewritten_voice, "value_corruptions"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_caught(name: str) -> None:
    plant, expected = PLANTED[name]
    cell = summary_of(plant())
    counts = {key: getattr(cell, key) for key in ("value_corruptions", "shape_corruptions", "crashes", "hangs")}
    # Of each of the two pairs, at least one call is wrong.
    assert counts.pop(expected) >= 2
    assert set(counts.values()) == {0}
    assert cell.sequential_after_ok is True
    assert judge_subject(name, [cell], None).status is Status.UNSAFE


@pytest.mark.parametrize("name", PLANTED)
def test_the_same_subject_without_the_fault_is_clean(name: str) -> None:
    plant, _ = PLANTED[name]
    cell = summary_of(plant(fault=False))
    assert cell.bit_identical == cell.utterances
    assert judge_subject(name, [cell], None).status is Status.SAFE


def test_another_shape_without_any_exception_is_a_shape_corruption() -> None:
    """The cache doubles a length only if keys have one; the stages show it, and nothing is raised."""
    cell = summary_of(toys.shared_cache(requests=toys.REQUESTS))
    assert cell.shape_corruptions == 0
    assert cell.value_corruptions == 4
    cell = summary_of(toys.shared_conditionals(requests=tuple(toys.ToyRequest(n, 1 + 3 * (n % 2)) for n in range(4))))
    assert cell.completed == 4
    assert cell.crashes == 0
    assert cell.shape_corruptions >= 2
    assert "conditioning" in cell.stages


def test_the_first_differing_stage_is_named() -> None:
    cell = summary_of(toys.process_generator())
    assert set(cell.stages) == {"speech_tokens"}
    assert "speech_tokens: same shape ['4'], other bits" in cell.errors


def test_what_a_run_leaves_behind_is_seen_afterwards() -> None:
    cell = summary_of(toys.residue())
    assert cell.bit_identical == cell.utterances
    assert cell.sequential_after_ok is False
    verdict = judge_subject("residue", [cell], None)
    assert verdict.status is Status.UNSAFE
    assert "one at a time after 2 threads it still differed" in verdict.reason
    assert summary_of(toys.residue(fault=False)).sequential_after_ok is True


@pytest.mark.parametrize(
    ("make_error", "field"),
    [
        (lambda: RuntimeError("stack expects each tensor to be equal size"), "shape_corruptions"),
        (lambda: RuntimeError("expected Tensor as element 2 in argument 0, but got NoneType"), "crashes"),
        (lambda: KeyError("hann_window"), "crashes"),
        (lambda: SystemExit(1), "crashes"),
    ],
)
def test_exceptions_are_told_apart(make_error: Callable[[], BaseException], field: str) -> None:
    cell = summary_of(toys.raising(make_error))
    assert getattr(cell, field) == 4
    assert cell.completed == 0
    assert cell.sequential_after_ok is True
    assert judge_subject("raising", [cell], None).status is Status.UNSAFE


def test_a_call_that_never_ends_is_a_hang() -> None:
    release = threading.Event()
    try:
        cell = summary_of(toys.hanging(release), patience_s=0.5)
    finally:
        release.set()
    assert cell.hangs == 1
    assert cell.bit_identical == 3
    assert cell.sequential_after_ok is None
    assert judge_subject("hanging", [cell], None).status is Status.UNSAFE
