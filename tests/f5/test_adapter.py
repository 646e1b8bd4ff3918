"""Segments spoken by F5: stock's bits, whoever else speaks."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts.errors import StatelessTTSError
from stateless_tts.streaming import (
    ChatterBoxStreamingAdapter,
    SegmentTimeoutError,
    StreamingConfig,
    StreamingCoordinator,
    StreamingEngineAdapter,
    StreamingSegment,
    segment_seed,
)

from .conftest import REF_TEXT, STEPS

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts import StatelessChatterBoxWrapper
    from stateless_tts.f5 import F5Model, F5StreamingAdapter, F5Voice

    from .conftest import StockF5

pytestmark = pytest.mark.usefixtures("f5_is_installed")
TEXTS = ("One.", "The second one is somewhat longer.", "你好世界。", "And a fourth, for luck!", "Five.", "Six of them.")


@pytest.fixture
def adapter(f5_model: F5Model, f5_voice: F5Voice) -> F5StreamingAdapter:
    from stateless_tts.f5 import F5StreamingAdapter

    return F5StreamingAdapter(f5_model, {"ada": f5_voice}, f5_voice)


def segments(**metadata: object) -> list[StreamingSegment]:
    return [StreamingSegment(index, text, metadata=metadata) for index, text in enumerate(TEXTS)]


def test_workers_give_the_bits_of_stock_alone(adapter: F5StreamingAdapter, stock_f5: StockF5) -> None:
    for workers in (0, 4):
        audio, metrics, success = StreamingCoordinator.process(
            segments(), adapter, StreamingConfig(batch_size=workers), seed=7, nfe_step=STEPS
        )
        assert success, metrics.failures
        for index, text in enumerate(TEXTS):
            assert torch.equal(audio[index], stock_f5.infer(text, segment_seed(7, index))), (workers, text)


def test_a_clip_and_its_words_are_as_good_as_a_voice(
    adapter: F5StreamingAdapter, f5_clip: Path, stock_f5: StockF5
) -> None:
    named = StreamingSegment(0, "One.", voice_path="ada", metadata={"seed": 3})
    read = StreamingSegment(0, "One.", voice_path=f5_clip, metadata={"seed": 3, "ref_text": REF_TEXT})
    alone = stock_f5.infer("One.", 3)
    for segment in (named, read):
        result = adapter.process_segment(segment, nfe_step=STEPS)
        assert result.audio is not None, result.error_msg
        assert torch.equal(result.audio, alone)
        assert result.metadata is not None
        assert result.metadata["sample_rate"] == 24_000


def test_beside_chatterbox(adapter: F5StreamingAdapter, wrapper: StatelessChatterBoxWrapper) -> None:
    """Both engines at once, in one process, each with workers of its own."""
    engines: dict[str, tuple[StreamingEngineAdapter, dict[str, Any]]] = {
        "f5": (adapter, {"nfe_step": STEPS}),
        "chatterbox": (ChatterBoxStreamingAdapter(wrapper), {"max_new_tokens": 8}),
    }

    def audio_of(name: str, workers: int) -> dict[int, torch.Tensor]:
        engine, parameters = engines[name]
        given = [StreamingSegment(index, text) for index, text in enumerate(("One.", "Two, too.", "Three."))]
        config = StreamingConfig(batch_size=workers)
        audio, metrics, success = StreamingCoordinator.process(given, engine, config, seed=5, **parameters)
        assert success, metrics.failures
        return audio

    alone = {name: audio_of(name, 0) for name in engines}
    together: dict[str, dict[int, torch.Tensor]] = {}
    threads = [
        threading.Thread(target=lambda name=name: together.update({name: audio_of(name, 2)})) for name in engines
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for name, expected in alone.items():
        assert list(together[name]) == list(expected)
        assert all(torch.equal(together[name][index], audio) for index, audio in expected.items()), name


def test_a_segment_that_is_out_of_time_ends_between_two_steps(adapter: F5StreamingAdapter) -> None:
    asked = 0

    def checkpoint() -> None:
        nonlocal asked
        asked += 1
        if asked == 4:
            raise SegmentTimeoutError("out of time")

    result = adapter.process_segment(StreamingSegment(0, "One."), checkpoint=checkpoint, nfe_step=100)
    assert isinstance(result.error, SegmentTimeoutError)
    assert asked == 4


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        (StreamingSegment(0, " "), "text=' ': expected something to say"),
        (StreamingSegment(0, "Hi.", voice_path="clip.wav"), "without ref_text; expected one of the voices ada"),
        (StreamingSegment(0, "Hi.", voice_path="absent.wav", metadata={"ref_text": "Hm."}), "does not exist"),
        (StreamingSegment(0, "Hi.", metadata={"nfe_step": 0}), "nfe_step=0: expected an integer from 1"),
        (StreamingSegment(0, "Hi.", metadata={"speed": float("nan")}), "speed=nan: expected a number from 0.1"),
        (StreamingSegment(0, "word " * 2000), "bytes without punctuation"),
    ],
)
def test_bad_segments_fail_alone_and_say_why(
    adapter: F5StreamingAdapter, segment: StreamingSegment, message: str
) -> None:
    result = adapter.process_segment(segment)
    assert isinstance(result.error, StatelessTTSError)
    assert message in result.error_msg


def test_without_a_voice(f5_model: F5Model) -> None:
    from stateless_tts.f5 import F5StreamingAdapter

    result = F5StreamingAdapter(f5_model).process_segment(StreamingSegment(0, "Hi."))
    assert "there is no default voice; expected the path of a clip" in result.error_msg


def test_unknown_parameters_are_refused(adapter: F5StreamingAdapter) -> None:
    with pytest.raises(StatelessTTSError, match="temperature: unknown to f5"):
        StreamingCoordinator.process(segments(), adapter, temperature=0.5)
