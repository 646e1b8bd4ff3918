from __future__ import annotations

import ctypes
import itertools
import queue
import threading
import time
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings, strategies

from stateless_tts.streaming import (
    ProcessorClosedError,
    SegmentCancelledError,
    SegmentTimeoutError,
    StreamingConfig,
    StreamingResult,
    StreamingSegment,
    StreamingStartError,
    StreamingWorker,
    TrueStreamingProcessor,
    WorkerDiedError,
)

from .speakers import (
    PATIENCE_SECONDS,
    ScriptedAdapter,
    die,
    die_first,
    fail,
    segments,
    streaming_threads,
    until,
    until_stopped,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .speakers import Script


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    assert streaming_threads() == []


def speak(
    given_segments: list[StreamingSegment],
    scripts: dict[int, Script] | None = None,
    config: StreamingConfig | None = None,
    *,
    in_order: bool = False,
) -> list[StreamingResult]:
    with TrueStreamingProcessor(ScriptedAdapter(scripts), config, seed=1) as processor:
        return list(processor.process(given_segments, in_order=in_order))


@pytest.mark.parametrize("workers", [1, 4, 16])
def test_one_result_each_whatever_the_workers(workers: int) -> None:
    alone = [ScriptedAdapter().process_segment(segment, seed=1) for segment in segments(40)]
    results = speak(segments(40), {3: fail}, StreamingConfig(batch_size=workers, max_workers=16), in_order=True)
    assert [result.index for result in results] == list(range(40))
    assert [result.index for result in results if not result.success] == [3]
    for result, expected in zip(results, alone, strict=True):
        if result.success:
            assert result.audio is not None
            assert expected.audio is not None
            assert torch.equal(result.audio, expected.audio)
        else:
            assert result.audio is None
            assert isinstance(result.error, OSError)


def test_results_come_as_they_finish() -> None:
    gate = threading.Event()
    with TrueStreamingProcessor(ScriptedAdapter({0: until(gate)}), StreamingConfig(batch_size=2)) as processor:
        results = processor.process(segments(5))
        early = [next(results).index for _ in range(4)]
        assert sorted(early) == [1, 2, 3, 4]
        gate.set()
        assert [result.index for result in results] == [0]


def test_a_source_is_read_no_faster_than_results_are_taken() -> None:
    read: list[int] = []

    def source() -> Iterator[StreamingSegment]:
        for index in itertools.count():
            read.append(index)
            yield StreamingSegment(index, "a")

    config = StreamingConfig(batch_size=2, max_pending=5)
    with TrueStreamingProcessor(ScriptedAdapter(), config) as processor:
        results = processor.process(source(), in_order=True)
        for taken in range(1, 20):
            assert next(results).index == taken - 1
            assert len(read) <= taken + 5


def test_submitting_waits_for_room() -> None:
    with TrueStreamingProcessor(ScriptedAdapter(), StreamingConfig(max_pending=2)) as processor:
        first, second, third = segments(3)
        processor.submit(first)
        processor.submit(second)
        with pytest.raises(queue.Full):
            processor.submit(third, block=False)
        submitting = threading.Thread(target=processor.submit, args=(third,))
        submitting.start()
        results = processor.results()
        next(results)
        submitting.join(PATIENCE_SECONDS)
        assert not submitting.is_alive()
        processor.close()
        assert len(list(results)) == 2
        with pytest.raises(ProcessorClosedError):
            processor.submit(first)


def test_a_segment_that_takes_too_long_is_ended() -> None:
    results = speak(segments(3), {1: until_stopped}, StreamingConfig(batch_size=1, worker_timeout=0.05), in_order=True)
    assert [result.success for result in results] == [True, False, True]
    assert isinstance(results[1].error, SegmentTimeoutError)


def test_a_segment_that_hangs_is_given_up_and_its_worker_replaced() -> None:
    gate = threading.Event()
    config = StreamingConfig(batch_size=1, worker_timeout=0.05, timeout_grace=0.05, shutdown_timeout=0.05)
    adapter = ScriptedAdapter({1: until(gate)})
    with TrueStreamingProcessor(adapter, config) as processor:
        results = list(processor.process(segments(3), in_order=True))
        assert [result.success for result in results] == [True, False, True]
        assert isinstance(results[1].error, SegmentTimeoutError)
        assert processor.metrics.workers_replaced == 1
        gate.set()
        assert processor.shutdown(timeout=PATIENCE_SECONDS)  # the late worker adds no second result, and ends


def test_a_worker_that_was_given_up_speaks_no_more() -> None:
    gate = threading.Event()

    def release(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
        hung = [thread for thread in threading.enumerate() if thread.name == "streaming-worker-0"]
        gate.set()
        for thread in hung:
            thread.join(5)
            assert not thread.is_alive()

    first, *others = segments(4)
    config = StreamingConfig(batch_size=1, worker_timeout=0.05, timeout_grace=0.05)
    with TrueStreamingProcessor(ScriptedAdapter({0: until(gate), 1: release}), config) as processor:
        results = processor.results(in_order=True)
        processor.submit(first)
        assert not next(results).success
        processor._ledger._timeout = PATIENCE_SECONDS  # that was for the first segment alone
        for segment in others:
            processor.submit(segment)
        processor.close()
        assert [result.success for result in results] == [True, True, True]


def test_a_worker_that_dies_is_replaced_and_its_segment_retried_once() -> None:
    alone = ScriptedAdapter().process_segment(StreamingSegment(2, "Text xx."), seed=1)
    with TrueStreamingProcessor(
        ScriptedAdapter({2: die_first(), 5: die}), StreamingConfig(batch_size=2), seed=1
    ) as processor:
        results = list(processor.process(segments(8), in_order=True))
    assert [result.index for result in results] == list(range(8))
    assert [result.index for result in results if not result.success] == [5]
    assert isinstance(results[5].error, WorkerDiedError)
    assert results[2].audio is not None
    assert alone.audio is not None
    assert torch.equal(results[2].audio, alone.audio)
    assert processor.metrics.workers_replaced == 3
    assert processor.metrics.retried_segments == 2


def test_a_worker_thread_killed_from_outside_is_survived() -> None:
    def be_killed(segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
        if not killed:
            killed.append(segment.index)
            ident = ctypes.c_ulong(threading.get_ident())
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(SystemExit))
            until_stopped(segment, checkpoint)

    killed: list[int] = []
    results = speak(segments(6), {3: be_killed}, StreamingConfig(batch_size=2), in_order=True)
    assert killed == [3]
    assert [result.success for result in results] == [True] * 6


def test_a_worker_that_is_being_replaced_at_the_shutdown_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    processor = TrueStreamingProcessor(ScriptedAdapter({0: die_first()}), StreamingConfig(batch_size=1))
    processor.start()
    add_worker, note_exit, replacing = processor._add_worker, processor._note_exit, threading.Event()

    def add_late() -> None:
        replacing.set()
        assert processor._shutdown.wait(PATIENCE_SECONDS)
        time.sleep(0.05)
        add_worker()

    def leave_late(worker_id: int, cause: BaseException | None) -> None:
        note_exit(worker_id, cause)
        time.sleep(0.2)

    monkeypatch.setattr(processor, "_add_worker", add_late)
    monkeypatch.setattr(processor, "_note_exit", leave_late)
    processor.submit(segments(1)[0])
    assert replacing.wait(PATIENCE_SECONDS)
    assert processor.shutdown()
    assert streaming_threads() == []


def test_cancelling_one_leaves_the_others() -> None:
    started = threading.Event()

    def announce(segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
        started.set()
        until_stopped(segment, checkpoint)

    with TrueStreamingProcessor(ScriptedAdapter({0: announce}), StreamingConfig(batch_size=2)) as processor:
        results = processor.process(segments(4), in_order=True)
        canceller = threading.Thread(target=lambda: started.wait(PATIENCE_SECONDS) and processor.cancel(0))
        canceller.start()
        outcome = [(result.index, type(result.error)) for result in results]
        canceller.join()
    assert outcome == [(0, SegmentCancelledError), *((index, type(None)) for index in (1, 2, 3))]


def test_cancelling_all_gives_each_its_failure() -> None:
    with TrueStreamingProcessor(
        ScriptedAdapter(dict.fromkeys(range(6), until_stopped)), StreamingConfig(batch_size=2)
    ) as processor:
        for segment in segments(6):
            processor.submit(segment)
        assert processor.cancel() == 6
        processor.close()
        results = list(processor.results(in_order=True))
    assert [type(result.error) for result in results] == [SegmentCancelledError] * 6


def test_shutdown_drains() -> None:
    processor = TrueStreamingProcessor(ScriptedAdapter(), StreamingConfig(batch_size=2))
    processor.start()
    for segment in segments(10):
        processor.submit(segment)
    assert processor.shutdown(drain=True)
    assert [result.success for result in processor.results(in_order=True)] == [True] * 10


@pytest.mark.parametrize("in_order", [True, False])
def test_whoever_shuts_down_in_mid_run_still_gets_the_results_of_what_was_taken_in(in_order: bool) -> None:
    read: list[int] = []

    def source() -> Iterator[StreamingSegment]:
        for segment in segments(40):
            read.append(segment.index)
            yield segment

    with TrueStreamingProcessor(ScriptedAdapter(), StreamingConfig(batch_size=2, max_pending=8)) as processor:
        seen = []
        for result in processor.process(source(), in_order=in_order):
            seen.append(result.index)
            if len(seen) == 10:
                processor.shutdown()
    assert sorted(seen) == read
    assert 10 < len(seen) < 40


def test_a_collection_is_answered_in_whole_also_by_a_processor_that_is_closed() -> None:
    with TrueStreamingProcessor(ScriptedAdapter(), StreamingConfig(batch_size=2)) as processor:
        first = list(processor.process(segments(3), in_order=True))
        second = list(processor.process(segments(3), in_order=True))
    assert [result.success for result in first] == [True] * 3
    assert [(result.index, type(result.error)) for result in second] == [(i, ProcessorClosedError) for i in range(3)]


def test_a_processor_is_started_once_and_before_results_are_asked_for() -> None:
    processor = TrueStreamingProcessor(ScriptedAdapter())
    for results in (processor.results(), processor.process(segments(2))):
        with pytest.raises(StreamingStartError, match="has not been started"):
            next(results)
    with processor:
        with pytest.raises(StreamingStartError, match="started already"):
            processor.start()
        assert len(list(processor.process(segments(2)))) == 2


def test_shutdown_cancels_within_its_time_even_if_the_engine_hangs() -> None:
    gate = threading.Event()
    started = threading.Event()

    def hang(segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
        started.set()
        until(gate)(segment, checkpoint)

    processor = TrueStreamingProcessor(ScriptedAdapter({0: hang}), StreamingConfig(batch_size=1))
    processor.start()
    for segment in segments(3):
        processor.submit(segment)
    assert started.wait(PATIENCE_SECONDS)
    assert not processor.shutdown(timeout=0.05)
    results = list(processor.results(in_order=True))
    assert [type(result.error) for result in results] == [SegmentCancelledError] * 3
    gate.set()
    assert processor.shutdown(timeout=PATIENCE_SECONDS)


def test_ctrl_c_in_the_consumer_leaves_no_thread() -> None:
    processor = TrueStreamingProcessor(ScriptedAdapter({3: until_stopped}), StreamingConfig(batch_size=4))

    def consume() -> None:
        for _ in processor.process(segments(8)):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), processor:
        consume()
    assert streaming_threads() == []


def test_a_start_that_fails_leaves_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    class Unstartable(StreamingWorker):
        def start(self) -> None:
            if self.worker_id == 2:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr("stateless_tts.streaming._processor.StreamingWorker", Unstartable)
    with pytest.raises(StreamingStartError, match="can't start new thread"):
        TrueStreamingProcessor(ScriptedAdapter(), StreamingConfig(batch_size=4)).start()


def test_no_worker_left_fails_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    class Irreplaceable(StreamingWorker):
        def start(self) -> None:
            if self.worker_id > 0:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr("stateless_tts.streaming._processor.StreamingWorker", Irreplaceable)
    results = speak(segments(4), {1: die}, StreamingConfig(batch_size=1), in_order=True)
    assert [type(result.error) for result in results] == [type(None), *[StreamingStartError] * 3]


def test_no_worker_left_fails_also_what_is_still_to_come(monkeypatch: pytest.MonkeyPatch) -> None:
    class Irreplaceable(StreamingWorker):
        def start(self) -> None:
            if self.worker_id > 0:
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr("stateless_tts.streaming._processor.StreamingWorker", Irreplaceable)
    config = StreamingConfig(batch_size=1, max_pending=2)
    results = speak(segments(7), {1: die}, config, in_order=True)
    assert [result.index for result in results] == list(range(7))
    assert [type(result.error) for result in results] == [type(None), *[StreamingStartError] * 6]


def test_the_exit_of_a_worker_that_was_given_up_is_forgotten() -> None:
    gate = threading.Event()
    config = StreamingConfig(batch_size=1, worker_timeout=0.05, timeout_grace=0.05)
    with TrueStreamingProcessor(ScriptedAdapter({0: until(gate)}), config) as processor:
        (segment,) = segments(1)
        processor.submit(segment)
        assert not next(processor.results()).success
        gate.set()
        (hung,) = processor._given_up
        hung.join(PATIENCE_SECONDS)
        processor._look_after_workers()
        assert processor._exits == {}  # with one left in it, the supervisor would never wait


def test_segments_are_missing_or_doubled_under_no_mixture_of_faults() -> None:
    faults = [None, fail, die, until_stopped]

    @settings(max_examples=25, deadline=None)
    @given(strategies.lists(strategies.sampled_from(range(5)), max_size=12), strategies.integers(1, 5))
    def check(kinds: list[int], workers: int) -> None:
        scripts = {
            index: die_first() if kind == 4 else fault
            for index, kind in enumerate(kinds)
            if kind == 4 or (fault := faults[kind]) is not None
        }
        config = StreamingConfig(batch_size=workers, worker_timeout=0.03, max_pending=4)
        results = speak(segments(len(kinds)), {i: s for i, s in scripts.items() if s}, config, in_order=True)
        assert [result.index for result in results] == list(range(len(kinds)))
        assert [result.success for result in results] == [kind in (0, 4) for kind in kinds]
        assert all((result.audio is None) == (not result.success) for result in results)

    check()


def test_the_seed_is_drawn_once_and_told() -> None:
    with TrueStreamingProcessor(ScriptedAdapter()) as first:
        heard = list(first.process(segments(2), in_order=True))
    with TrueStreamingProcessor(ScriptedAdapter(), seed=first.metrics.base_seed) as second:
        again = list(second.process(segments(2), in_order=True))
    for result, repeated in zip(heard, again, strict=True):
        assert result.audio is not None
        assert repeated.audio is not None
        assert torch.equal(result.audio, repeated.audio)
