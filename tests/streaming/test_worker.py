from __future__ import annotations

import queue
import threading
from typing import cast

from stateless_tts.streaming import (
    SegmentCancelledError,
    SegmentControl,
    StreamingResult,
    StreamingSegment,
    StreamingWorker,
    WorkItem,
)
from stateless_tts.streaming._worker import speak

from .speakers import PATIENCE_SECONDS, Killed, ScriptedAdapter, die, fail

Work = queue.Queue[WorkItem | StreamingSegment | None]
Results = queue.Queue[StreamingResult]


def test_speaks_from_plain_queues_until_none() -> None:
    work, results = Work(), Results()
    worker = StreamingWorker(3, work, results, ScriptedAdapter({1: fail}), threading.Event())
    worker.start()
    for index in (0, 1):
        work.put(StreamingSegment(index, "a"))
    work.put(None)
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive
    first, second = results.get_nowait(), results.get_nowait()
    assert (first.index, first.success, first.worker_id) == (0, True, 3)
    assert (second.index, second.success, second.worker_id) == (1, False, 3)
    assert results.empty()


def test_stops_at_the_shutdown_event() -> None:
    shutdown = threading.Event()
    worker = StreamingWorker(0, Work(), Results(), ScriptedAdapter(), shutdown)
    worker.start()
    shutdown.set()
    worker.join(PATIENCE_SECONDS)
    assert not worker.is_alive


def test_a_stopped_item_fails() -> None:
    work, results = Work(), Results()
    control = SegmentControl(0, timeout=60)
    control.stop(SegmentCancelledError("no"))
    work.put(WorkItem(StreamingSegment(0, "a"), control))
    work.put(None)
    worker = StreamingWorker(0, work, results, ScriptedAdapter(), threading.Event())
    worker.start()
    assert isinstance(results.get(timeout=PATIENCE_SECONDS).error, SegmentCancelledError)
    worker.join(PATIENCE_SECONDS)


def test_death_is_told() -> None:
    work, told = Work(), queue.Queue[tuple[int, BaseException | None]]()
    work.put(StreamingSegment(0, "a"))
    worker = StreamingWorker(
        8, work, Results(), ScriptedAdapter({0: die}), threading.Event(), on_exit=lambda *exit_: told.put(exit_)
    )
    worker.start()
    worker_id, cause = told.get(timeout=PATIENCE_SECONDS)
    assert worker_id == 8
    assert isinstance(cause, Killed)


def test_an_adapter_that_raises_after_all_still_gives_a_result() -> None:
    class Raising(ScriptedAdapter):
        def process_segment(self, segment: StreamingSegment, **_options: object) -> StreamingResult:
            raise KeyError(segment.index)

    work, results = Work(), Results()
    work.put(StreamingSegment(0, "a"))
    work.put(None)
    worker = StreamingWorker(0, work, results, Raising(), threading.Event())
    worker.start()
    assert isinstance(results.get(timeout=PATIENCE_SECONDS).error, KeyError)
    worker.join(PATIENCE_SECONDS)


def test_an_adapter_that_returns_no_result_still_gives_one() -> None:
    class Forgetful(ScriptedAdapter):
        def process_segment(self, *_arguments: object, **_options: object) -> StreamingResult:
            return cast("StreamingResult", None)

    item = WorkItem(StreamingSegment(0, "a"), SegmentControl(0, timeout=60))
    result = speak(Forgetful(), item, {}, worker_id=2)
    assert (result.index, result.success, result.worker_id) == (0, False, 2)
    assert "NoneType" in result.error_msg
