from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.streaming import (
    SegmentTimeoutError,
    StreamingConfig,
    StreamingCoordinator,
    StreamingSegment,
    StreamingStartError,
)

from .speakers import ScriptedAdapter, fail, segments, streaming_threads, until_stopped

if TYPE_CHECKING:
    from collections.abc import Iterable


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
