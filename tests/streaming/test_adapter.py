from __future__ import annotations

import gc
import traceback
import weakref
from typing import TYPE_CHECKING, Any, cast

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
    def __init__(self, spoken: object) -> None:
        self.spoken = spoken

    def speak_segment(
        self,
        segment: StreamingSegment,  # noqa: ARG002 - the seam's signature
        parameters: Mapping[str, Any],  # noqa: ARG002
        checkpoint: Callable[[], None],  # noqa: ARG002
    ) -> SegmentAudio:
        return cast("SegmentAudio", self.spoken)


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
    ("spoken", "message"),
    [
        (SegmentAudio(torch.zeros(1, 5), SAMPLE_RATE), "silence"),
        (SegmentAudio(torch.zeros(1, 0), SAMPLE_RATE), "no samples"),
        (SegmentAudio(torch.tensor([[1.0, float("nan")]]), SAMPLE_RATE), "NaN"),
        (SegmentAudio(torch.ones(5), SAMPLE_RATE), "shape"),
        (SegmentAudio(torch.ones(2, 5), SAMPLE_RATE), "shape"),
        (SegmentAudio(torch.ones(1, 5, dtype=torch.int16), SAMPLE_RATE), "torch.int16 on cpu"),
        (SegmentAudio(torch.ones(1, 5, device="meta"), SAMPLE_RATE), "torch.float32 on meta"),
        (SegmentAudio(cast("torch.Tensor", "audio"), SAMPLE_RATE), "str for audio"),
        (SegmentAudio(torch.ones(1, 5), 0), "sample_rate=0"),
        (SegmentAudio(torch.ones(1, 5), cast("int", float("nan"))), "sample_rate=nan"),
        (SegmentAudio(torch.ones(1, 5), SAMPLE_RATE, cast("dict[str, Any]", None)), "metadata of type None"),
        (None, "returned None"),
        ("audio", "returned str"),
        ((torch.ones(1, 5), SAMPLE_RATE), "returned tuple"),
    ],
)
def test_what_is_no_speech_is_a_failure(spoken: object, message: str) -> None:
    result = Returning(spoken).process_segment(StreamingSegment(0, ""))
    assert isinstance(result.error, UnusableAudioError)
    assert message in result.error_msg


def test_a_failure_keeps_no_tensor_of_the_call_that_it_ended() -> None:
    held: list[weakref.ref[torch.Tensor]] = []

    def fail_with_a_cache(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
        cache = torch.ones(3)
        held.append(weakref.ref(cache))
        raise OSError("no space left")

    result = ScriptedAdapter({0: fail_with_a_cache}).process_segment(StreamingSegment(0, ""))
    gc.collect()
    assert held[0]() is None
    assert result.error is not None
    assert "in fail_with_a_cache" in "".join(traceback.format_exception(result.error))


def test_an_exception_that_cannot_be_told_is_a_failure_all_the_same() -> None:
    class Mute(Exception):  # noqa: N818 - not an error that anybody should raise
        def __str__(self) -> str:
            raise ValueError

    def fail_mutely(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
        raise Mute

    assert ScriptedAdapter({0: fail_mutely}).process_segment(StreamingSegment(0, "")).error_msg == "Mute"


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
