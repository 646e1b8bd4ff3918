from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.streaming import (
    SegmentAudio,
    SegmentCancelledError,
    StreamingEngineAdapter,
    StreamingSegment,
    UnusableAudioError,
    segment_seed,
)

from .speakers import SAMPLE_RATE, ScriptedAdapter, fail

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Returning(StreamingEngineAdapter):
    def __init__(self, audio: torch.Tensor) -> None:
        self.audio = audio

    def speak_segment(
        self,
        segment: StreamingSegment,  # noqa: ARG002 - the seam's signature
        parameters: Mapping[str, Any],  # noqa: ARG002
        checkpoint: Callable[[], None],  # noqa: ARG002
    ) -> SegmentAudio:
        return SegmentAudio(self.audio, SAMPLE_RATE)


def test_result_tells_what_was_used() -> None:
    segment = StreamingSegment(3, "Hello.", "Ann", "de", metadata={"line": 12})
    result = ScriptedAdapter().process_segment(segment, worker_id=5, seed=1)
    assert result.success
    assert result.audio is not None
    assert result.duration == result.audio.shape[-1] / SAMPLE_RATE
    assert (result.index, result.character, result.language, result.worker_id) == (3, "Ann", "de", 5)
    assert result.metadata == {"line": 12, "seed": segment_seed(1, 3), "sample_rate": SAMPLE_RATE}


def test_exception_becomes_a_failure_that_carries_it() -> None:
    result = ScriptedAdapter({0: fail}).process_segment(StreamingSegment(0, ""))
    assert not result.success
    assert isinstance(result.error, OSError)
    assert result.error_msg == "no space left on device"
    assert result.audio is None


def test_metadata_overrides_parameters_and_derived_seed() -> None:
    adapter = ScriptedAdapter()
    plain = adapter.process_segment(StreamingSegment(0, "a"), seed=1)
    seeded = adapter.process_segment(StreamingSegment(0, "a", metadata={"seed": segment_seed(1, 0)}), seed=99)
    loud = adapter.process_segment(StreamingSegment(0, "a", metadata={"loudness": 2.0}), seed=1, loudness=3.0)
    assert plain.audio is not None
    assert loud.audio is not None
    assert seeded.audio is not None
    assert torch.equal(seeded.audio, plain.audio)
    assert torch.equal(loud.audio, 2.0 * plain.audio)


def test_a_seed_is_drawn_and_told_if_none_is_given() -> None:
    results = [ScriptedAdapter().process_segment(StreamingSegment(0, "a")) for _ in range(2)]
    seeds = {(result.metadata or {})["seed"] for result in results}
    assert len(seeds) == 2


def test_segment_seeds_are_fixed_and_differ() -> None:
    assert segment_seed(42, 0) == 3042642129590909369  # what was spoken once can be spoken again
    assert len({segment_seed(base, index) for base in range(20) for index in range(50)}) == 1000
    assert all(0 <= segment_seed(base, 0) < 2**63 for base in (-(2**63), 2**64 - 1))


def test_process_wide_generators_are_left_alone() -> None:
    before = torch.get_rng_state()
    ScriptedAdapter().process_segment(StreamingSegment(0, "a"))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (torch.zeros(1, 5), "silence"),
        (torch.zeros(1, 0), "no samples"),
        (torch.tensor([[1.0, float("nan")]]), "NaN"),
        (torch.ones(5), "shape"),
        (torch.ones(2, 5), "shape"),
    ],
)
def test_what_is_no_speech_is_a_failure(audio: torch.Tensor, message: str) -> None:
    result = Returning(audio).process_segment(StreamingSegment(0, ""))
    assert isinstance(result.error, UnusableAudioError)
    assert message in result.error_msg


def test_a_stopped_segment_is_not_begun() -> None:
    adapter = ScriptedAdapter()

    def stop() -> None:
        raise SegmentCancelledError("stop")

    result = adapter.process_segment(StreamingSegment(0, ""), checkpoint=stop)
    assert isinstance(result.error, SegmentCancelledError)
    assert adapter.spoken == []


def test_unknown_parameters_are_named() -> None:
    with pytest.raises(InvalidParameterError, match="pitch: unknown to scripted; expected some of loudness, seed"):
        ScriptedAdapter().check_parameters(["pitch", "seed"])
