from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.streaming import StreamingConfig, StreamingMetrics, StreamingResult, StreamingSegment


def test_fields_are_those_that_people_know() -> None:
    names = {kind: [field.name for field in fields(kind)] for kind in (StreamingSegment, StreamingResult)}
    assert names[StreamingSegment] == ["index", "text", "character", "language", "voice_path", "metadata"]
    assert names[StreamingResult] == [
        *("index", "audio", "duration", "character", "language", "processing_time", "worker_id"),
        *("success", "error_msg", "metadata", "error"),
    ]
    config = StreamingConfig()
    assert (config.batch_size, config.max_workers, config.worker_timeout) == (4, 12, 300.0)
    assert (config.enable_model_preloading, config.fallback_to_traditional, config.streaming_threshold) == (
        True,
        True,
        1,
    )
    assert config.engine_config is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("batch_size", -1),
        ("batch_size", 2.0),
        ("max_workers", 0),
        ("max_workers", 17),
        ("max_pending", 0),
        ("worker_timeout", 0),
        ("worker_timeout", float("inf")),
        ("worker_timeout", float("nan")),
        ("worker_timeout", 10**400),
        ("timeout_grace", -1),
        ("shutdown_timeout", 1e10),  # more than a thread can be waited for
        ("shutdown_timeout", "1"),
        ("streaming_threshold", True),
    ],
)
def test_config_names_what_it_refuses(field: str, value: Any) -> None:  # noqa: ANN401 - wrong types are what is tested
    with pytest.raises(InvalidParameterError, match=rf"{field}={value!r}: expected"):
        StreamingConfig(**{field: value})


def test_workers_are_at_most_max_workers() -> None:
    assert StreamingConfig(batch_size=16).workers == 12
    assert StreamingConfig(batch_size=0).workers == 0


def test_failure_has_no_audio_and_one_line() -> None:
    result = StreamingResult.failure(StreamingSegment(7, "Hi.", "Ann", "de"), OSError("two\nlines"))
    assert (result.index, result.character, result.language) == (7, "Ann", "de")
    assert result.audio is None
    assert not result.success
    assert result.error_msg == "two lines"
    assert isinstance(result.error, OSError)


def test_an_exception_without_words_is_named() -> None:
    assert StreamingResult.failure(StreamingSegment(0, ""), KeyError()).error_msg == "KeyError"


def test_throughput_is_of_completions_over_wall_time() -> None:
    metrics = StreamingMetrics()
    done = StreamingResult(0, torch.ones(1, 10), 3.0, "", "", processing_time=8.0, worker_id=0)
    failed = StreamingResult.failure(StreamingSegment(1, ""), OSError(), processing_time=8.0)
    for result in (done, done, failed):
        metrics.add_result(result)
    metrics.wall_time = 4.0
    assert metrics.throughput == 0.5
    assert metrics.audio_throughput == 1.5
    assert (metrics.total_segments, metrics.completed_segments, metrics.failed_segments) == (3, 2, 1)
    assert metrics.failures == [failed]


@pytest.mark.parametrize(
    ("fields_", "message"),
    [
        ({"index": "a"}, "index='a': expected an integer"),
        ({"index": None}, "index=None"),
        ({"index": 1.5}, "index=1.5"),
        ({"index": [1]}, "index="),
        ({"index": 3, "language": None}, "segment 3: language=None"),
        ({"index": 3, "metadata": [1]}, "segment 3: metadata="),
    ],
)
def test_a_segment_names_what_it_refuses(fields_: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        StreamingSegment(text="", **fields_)


def test_segments_group_by_language_and_voice() -> None:
    first, same, other = (StreamingSegment(0, "", voice_path=voice) for voice in ("a.wav", "a.wav", "b.wav"))
    assert first.group == same.group != other.group
    assert first.group != StreamingSegment(0, "", language="de", voice_path="a.wav").group
    tensors: Any = torch.zeros(3), torch.zeros(3)  # whether two are equal has no one answer
    assert len({StreamingSegment(0, "", voice_path=tensor).group for tensor in (*tensors, *tensors)}) == 2
