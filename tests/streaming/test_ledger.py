from __future__ import annotations

import queue
import time

import pytest
import torch

from stateless_tts.streaming import (
    ProcessorClosedError,
    SegmentCancelledError,
    StreamingResult,
    StreamingSegment,
    WorkerDiedError,
)
from stateless_tts.streaming._ledger import SegmentLedger

from .speakers import segments


def ledger_with(*admitted: StreamingSegment, max_pending: int = 10) -> SegmentLedger:
    ledger = SegmentLedger(max_pending, timeout=60)
    for segment in admitted:
        ledger.admit(segment, timeout=0)
    return ledger


def take(ledger: SegmentLedger, worker_id: int = 0) -> StreamingSegment:
    item = ledger.take(worker_id, timeout=0)
    assert item is not None
    return item.segment


def done(segment: StreamingSegment) -> StreamingResult:
    return StreamingResult(segment.index, torch.ones(1, 1), 1.0, "", "", 0.0, 0)


def test_pending_segments_are_bounded_until_results_are_taken() -> None:
    first, second, third = segments(3)
    ledger = ledger_with(first, second, max_pending=2)
    with pytest.raises(queue.Full, match="2 segments are pending, max_pending=2"):
        ledger.admit(third, timeout=0)
    ledger.finish(0, done(take(ledger)))
    assert not ledger.has_room  # finished, but its result is still held
    assert ledger.try_take_result(in_order=False) is not None
    ledger.admit(third, timeout=0)


def test_results_as_finished_or_in_order() -> None:
    for in_order, expected in ((False, [2, 1, 0]), (True, [None, None, 0])):
        ledger = ledger_with(*segments(3))
        held = [take(ledger, worker) for worker in range(3)]
        got = []
        for worker in (2, 1, 0):
            ledger.finish(worker, done(held[worker]))
            result = ledger.try_take_result(in_order=in_order)
            got.append(result and result.index)
        assert got == expected


def test_language_and_voice_stay_together() -> None:
    voices = "ababab"
    ledger = ledger_with(*(StreamingSegment(index, "", voice_path=voice) for index, voice in enumerate(voices)))
    assert [take(ledger, worker).index for worker in range(6)] == [0, 2, 4, 1, 3, 5]


def test_nobody_is_passed_over_for_ever() -> None:
    ledger = ledger_with(
        StreamingSegment(0, "", voice_path="a"), StreamingSegment(1, "", voice_path="b"), max_pending=3
    )
    order = []
    for index in range(2, 12):
        segment = take(ledger)
        order.append(segment.index)
        ledger.finish(0, done(segment))
        assert ledger.try_take_result(in_order=False) is not None
        ledger.admit(StreamingSegment(index, "", voice_path="a"), timeout=0)
    assert order.index(1) == 4


def test_a_dead_worker_is_survived_once() -> None:
    (segment,) = segments(1)
    ledger = ledger_with(segment)
    take(ledger, 0)
    ledger.worker_died(0, SystemExit())
    assert ledger.retried == 1
    take(ledger, 1)
    ledger.worker_died(1, SystemExit())
    result = ledger.try_take_result(in_order=True)
    assert result is not None
    assert isinstance(result.error, WorkerDiedError)
    assert "segment 0: 2 workers died of it, the last of SystemExit" in result.error_msg


def test_the_first_result_is_the_result() -> None:
    (segment,) = segments(1)
    ledger = ledger_with(segment)
    take(ledger, 0)
    ledger.fail_unfinished(SegmentCancelledError("over"))
    ledger.finish(0, done(segment))
    ledger.worker_died(0, None)
    result = ledger.try_take_result(in_order=False)
    assert result is not None
    assert not result.success
    assert ledger.try_take_result(in_order=False) is None


def test_cancelling_fails_what_waits_and_stops_what_runs() -> None:
    ledger = ledger_with(*segments(3))
    running = ledger.take(0, timeout=0)
    assert running is not None
    assert ledger.cancel(1) == 1
    result = ledger.try_take_result(in_order=False)
    assert result is not None
    assert result.index == 1
    assert ledger.cancel() == 2
    with pytest.raises(SegmentCancelledError):
        running.control.checkpoint()
    with pytest.raises(queue.Empty):
        ledger.take(1, timeout=0)


def test_closed_means_closed() -> None:
    first, second = segments(2)
    ledger = ledger_with(first)
    ledger.close()
    with pytest.raises(ProcessorClosedError, match="segment 1"):
        ledger.admit(second)
    assert not ledger.has_ended
    ledger.finish(0, done(take(ledger)))
    assert ledger.try_take_result(in_order=False) is not None
    assert ledger.has_ended
    assert ledger.take(0, timeout=None) is None


def test_a_worker_that_is_given_up_gets_nothing_more() -> None:
    ledger = ledger_with(*segments(2))
    late = ledger.take(0, timeout=0)
    assert late is not None
    late.control.deadline = time.monotonic() - 2.0
    assert ledger.give_up_overdue(1.0) == [0]
    assert ledger.take(0, timeout=0) is None
    assert ledger.take(1, timeout=0) is not None


def test_a_second_attempt_has_its_time_from_when_it_begins() -> None:
    ledger = ledger_with(*segments(1))
    first = ledger.take(0, timeout=0)
    assert first is not None
    first.control.deadline = time.monotonic() - 2.0
    ledger.worker_died(0, None)
    second = ledger.take(1, timeout=0)
    assert second is not None
    assert ledger.give_up_overdue(1.0) == []
    second.control.checkpoint()
