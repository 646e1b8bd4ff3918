from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.streaming import (
    SegmentCancelledError,
    SegmentTimeoutError,
    StreamingConfig,
    StreamingCoordinator,
    StreamingSegment,
    StreamingStartError,
)

from .speakers import ScriptedAdapter, fail, segments, streaming_threads, until, until_stopped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator


class Unloadable(ScriptedAdapter):
    def preload_models(self, languages: Iterable[str], device: str = "auto") -> None:
        raise OSError(f"no model for {', '.join(languages)} on {device}")


def assert_same_audio(left: dict[int, torch.Tensor], right: dict[int, torch.Tensor]) -> None:
    assert list(left) == list(right)
    for index, audio in left.items():
        assert torch.equal(audio, right[index])


def test_traditional_mode_gives_the_same_bits_on_the_callers_thread() -> None:
    one_by_one = ScriptedAdapter()
    traditional, metrics, success = StreamingCoordinator.process(
        segments(9), one_by_one, StreamingConfig(batch_size=0), seed=5
    )
    streamed, streamed_metrics, _ = StreamingCoordinator.process(segments(9), ScriptedAdapter(), seed=5)
    assert success
    assert (metrics.mode, streamed_metrics.mode) == ("traditional", "streaming")
    assert one_by_one.spoken == list(range(9))
    assert len(one_by_one.threads) == 1
    assert_same_audio(traditional, streamed)


@pytest.mark.parametrize("batch_size", [0, 3])
def test_failures_are_told_and_never_audio(batch_size: int) -> None:
    audio, metrics, success = StreamingCoordinator.process(
        segments(4), ScriptedAdapter({2: fail}), StreamingConfig(batch_size=batch_size)
    )
    assert not success
    assert list(audio) == [0, 1, 3]
    assert [failure.index for failure in metrics.failures] == [2]
    assert (metrics.completed_segments, metrics.failed_segments) == (3, 1)


def test_the_time_out_ends_a_segment_in_traditional_mode_too() -> None:
    _, metrics, _ = StreamingCoordinator.process(
        segments(3), ScriptedAdapter({1: until_stopped}), StreamingConfig(batch_size=0, worker_timeout=0.05)
    )
    assert [type(failure.error) for failure in metrics.failures] == [SegmentTimeoutError]


def test_a_failed_start_falls_back_says_so_and_gives_the_same_bits(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        fallen, metrics, success = StreamingCoordinator.process(segments(5), Unloadable(), seed=5)
    expected, _, _ = StreamingCoordinator.process(segments(5), ScriptedAdapter(), seed=5)
    assert success
    assert metrics.mode == "traditional"
    assert "no model for en on auto" in metrics.fallback_reason
    assert "going on in traditional mode" in caplog.text
    assert_same_audio(fallen, expected)


def test_a_failed_start_raises_if_falling_back_is_off() -> None:
    with pytest.raises(StreamingStartError, match="no model for en"):
        StreamingCoordinator.process(segments(2), Unloadable(), StreamingConfig(fallback_to_traditional=False))


def test_languages_are_preloaded_once_each_or_not_at_all() -> None:
    mixed = [StreamingSegment(index, "a", language=language) for index, language in enumerate(["en", "de", "en"])]
    adapter = ScriptedAdapter()
    StreamingCoordinator.process(mixed, adapter)
    assert adapter.preloaded == ["en", "de"]
    StreamingCoordinator.process(mixed, Unloadable(), StreamingConfig(enable_model_preloading=False))


def test_few_segments_need_no_workers() -> None:
    _, metrics, _ = StreamingCoordinator.process(segments(2), ScriptedAdapter(), StreamingConfig(streaming_threshold=3))
    assert metrics.mode == "traditional"


def test_the_same_index_twice_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="index=0: two segments have it"):
        StreamingCoordinator.process([StreamingSegment(0, "a"), StreamingSegment(0, "b")], ScriptedAdapter())


def test_unknown_parameters_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="pitch"):
        StreamingCoordinator.process(segments(1), ScriptedAdapter(), pitch=3)


def test_nothing_to_say() -> None:
    audio, metrics, success = StreamingCoordinator.process([], ScriptedAdapter())
    assert (audio, metrics.total_segments, success) == ({}, 0, True)


def test_a_run_can_be_left_early_and_cancelled() -> None:
    with StreamingCoordinator.stream(segments(6), ScriptedAdapter({5: until_stopped}), in_order=True) as run:
        taken = [next(iter(run)).index for _ in range(5)]
        assert run.cancel(5) == 1
    assert taken == [0, 1, 2, 3, 4]
    assert streaming_threads() == []


@pytest.mark.parametrize("batch_size", [0, 2])
@pytest.mark.parametrize(("cancelled", "failed"), [(30, [30]), (None, list(range(4, 40)))])
def test_cancelling_reaches_what_has_not_been_read(batch_size: int, cancelled: int | None, failed: list[int]) -> None:
    gate = threading.Event()
    held = {index: until(gate) for index in range(3, 40)} if batch_size else {}
    config = StreamingConfig(batch_size=batch_size, max_pending=4)
    with StreamingCoordinator.stream(segments(40), ScriptedAdapter(held), config, in_order=True) as run:
        results = iter(run)
        seen = [next(results) for _ in range(3)]
        run.cancel(cancelled)
        gate.set()
        seen += results
    assert [result.index for result in seen] == list(range(40))
    wrong = [result for result in seen if not result.success]
    # Number 3 may have been finished with by then.
    assert [result.index for result in wrong if result.index != 3] == failed
    assert {type(result.error) for result in wrong} == {SegmentCancelledError}


@pytest.mark.parametrize("batch_size", [0, 2])
def test_cancelling_before_the_first_result(batch_size: int) -> None:
    adapter = ScriptedAdapter()
    with StreamingCoordinator.stream(segments(9), adapter, StreamingConfig(batch_size=batch_size)) as run:
        assert run.cancel() == 0
        assert [type(result.error) for result in run] == [SegmentCancelledError] * 9
    assert adapter.spoken == []


@pytest.mark.parametrize("batch_size", [0, 2])
def test_a_source_that_raises_keeps_the_results_of_what_was_read(batch_size: int) -> None:
    def source() -> Iterator[StreamingSegment]:
        yield from segments(5)
        raise LookupError("the script ends here")

    seen: list[int] = []
    with StreamingCoordinator.stream(source(), ScriptedAdapter(), StreamingConfig(batch_size=batch_size)) as run:
        results = iter(run)
        with pytest.raises(LookupError, match="the script ends here"):
            seen.extend(result.index for result in results)
    assert sorted(seen) == list(range(5))


@pytest.mark.parametrize("batch_size", [0, 2])
def test_what_is_no_segment_is_named(batch_size: int) -> None:
    mixed: list[Any] = [StreamingSegment(0, "a"), None, StreamingSegment(2, "a")]
    config = StreamingConfig(batch_size=batch_size)
    with pytest.raises(InvalidParameterError, match="None: expected a StreamingSegment"):
        StreamingCoordinator.process(mixed, ScriptedAdapter(), config)
    with StreamingCoordinator.stream(iter(mixed), ScriptedAdapter(), config) as run:
        results = iter(run)
        assert next(results).index == 0
        with pytest.raises(InvalidParameterError, match="None: expected a StreamingSegment"):
            next(results)


@pytest.mark.parametrize("batch_size", [0, 1])
def test_an_engine_that_never_asks_whether_to_go_on_is_overdue_all_the_same(batch_size: int) -> None:
    def dawdle(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
        time.sleep(0.2)

    config = StreamingConfig(batch_size=batch_size, worker_timeout=0.1)
    _, metrics, _ = StreamingCoordinator.process(segments(3), ScriptedAdapter({1: dawdle}), config)
    assert [(failure.index, type(failure.error)) for failure in metrics.failures] == [(1, SegmentTimeoutError)]
