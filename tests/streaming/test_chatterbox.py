from __future__ import annotations

import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import (
    ContinuousBatchingEngine,
    InvalidClipError,
    QueueFullError,
    SpeechRequest,
    SpeechResult,
    StageSeconds,
)
from stateless_tts.streaming import (
    ChatterBoxStreamingAdapter,
    SegmentTimeoutError,
    StreamingConfig,
    StreamingCoordinator,
    StreamingError,
    StreamingSegment,
    segment_seed,
)

from .speakers import PATIENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import StatelessChatterBoxWrapper


def spoken(request: SpeechRequest) -> SpeechResult:
    audio = torch.full((1, 24), float(len(request.text)))
    return SpeechResult(audio, 24_000, request.seed or 0, torch.zeros(1), StageSeconds(0, 0, 0, 0))


class Remembering:
    def __init__(self) -> None:
        self.requests: list[SpeechRequest] = []

    def synthesize(self, request: SpeechRequest, *, checkpoint: Callable[[], None]) -> SpeechResult:
        checkpoint()
        self.requests.append(request)
        return spoken(request)


def test_a_segment_becomes_a_request() -> None:
    speaker = Remembering()
    adapter = ChatterBoxStreamingAdapter(speaker)
    segment = StreamingSegment(2, "Hi.", voice_path="none", metadata={"temperature": 0.3, "start": 1.5})
    result = adapter.process_segment(segment, seed=9, cfg_weight=0.1)
    assert speaker.requests == [SpeechRequest("Hi.", None, temperature=0.3, cfg_weight=0.1, seed=segment_seed(9, 2))]
    assert result.metadata == {**(segment.metadata or {}), "seed": segment_seed(9, 2), "sample_rate": 24_000}


def test_bad_parameters_fail_the_segment_alone() -> None:
    adapter = ChatterBoxStreamingAdapter(Remembering())
    result = adapter.process_segment(StreamingSegment(0, "Hi.", metadata={"temperature": -1}))
    assert "temperature=-1: expected" in result.error_msg


class Engine:
    """Speaks by itself, when it is told to."""

    def __init__(self) -> None:
        self.futures: list[Future[SpeechResult]] = []
        self.submitted = threading.Event()

    def submit(self, request: SpeechRequest) -> Future[SpeechResult]:
        future: Future[SpeechResult] = Future()
        self.futures.append(future)
        if request.text != "wait":
            future.set_result(spoken(request))
        self.submitted.set()
        return future


def test_an_engine_that_is_submitted_to() -> None:
    engine = Engine()
    result = ChatterBoxStreamingAdapter(engine).process_segment(StreamingSegment(0, "Hi."))
    assert result.success


def test_a_submitted_request_is_cancelled_when_overdue() -> None:
    engine = Engine()
    _, metrics, _ = StreamingCoordinator.process(
        [StreamingSegment(0, "wait")], ChatterBoxStreamingAdapter(engine), StreamingConfig(worker_timeout=0.02)
    )
    assert engine.submitted.wait(PATIENCE_SECONDS)
    assert engine.futures[0].cancelled()
    assert [type(failure.error) for failure in metrics.failures] == [SegmentTimeoutError]


class LateFuture(Future[SpeechResult]):
    """Ends just after a poll has timed out."""

    def result(self, timeout: float | None = None) -> SpeechResult:
        if timeout is not None:
            self.set_result(spoken(SpeechRequest("Hi.")))
            raise FutureTimeoutError
        return super().result(timeout)


def test_a_result_that_comes_as_the_poll_times_out_is_taken() -> None:
    class Late:
        def submit(self, request: SpeechRequest) -> Future[SpeechResult]:
            assert request.text == "Hi."
            return LateFuture()

    assert ChatterBoxStreamingAdapter(Late()).process_segment(StreamingSegment(0, "Hi.")).success


def test_a_request_is_cancelled_whatever_ends_the_waiting() -> None:
    class Interrupted(Future[SpeechResult]):
        def result(self, timeout: float | None = None) -> SpeechResult:
            raise KeyboardInterrupt(timeout)

    class Speaking:
        def submit(self, request: SpeechRequest) -> Future[SpeechResult]:
            assert request.text == "Hi."
            return future

    future = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        ChatterBoxStreamingAdapter(Speaking()).process_segment(StreamingSegment(0, "Hi."))
    assert future.cancelled()


def test_waiting_for_a_place_has_checkpoints() -> None:
    class Full:
        def submit(self, request: SpeechRequest, *, timeout: float | None = None) -> Future[SpeechResult]:
            assert timeout is not None, f"{request.text}: would wait for ever"
            waits.append(timeout)
            if len(waits) < 3:
                raise QueueFullError("no place")
            future: Future[SpeechResult] = Future()
            future.set_result(spoken(request))
            return future

    def stop() -> None:
        raise SegmentTimeoutError("enough")

    waits: list[float] = []
    adapter = ChatterBoxStreamingAdapter(Full())
    assert adapter.process_segment(StreamingSegment(0, "Hi.")).success
    assert len(waits) == 3
    waits.clear()
    result = adapter.process_segment(StreamingSegment(0, "Hi."), checkpoint=stop)
    assert isinstance(result.error, SegmentTimeoutError)


class Models:
    def __init__(self) -> None:
        self.speakers: dict[str, Remembering] = {}

    def preload_models(self, languages: list[str], loader: object, device: str) -> None:
        assert (loader, device) == ("loader", "cpu")
        for language in languages:
            self.speakers.setdefault(language, Remembering())

    def get_stateless_model_for_language(self, language_code: str, fallback_model: object = None) -> object:
        return self.speakers.get(language_code, fallback_model)


def test_each_language_has_its_model() -> None:
    models = Models()
    adapter = ChatterBoxStreamingAdapter(models, "loader", "cpu")
    texts = [StreamingSegment(0, "Hi.", language="en"), StreamingSegment(1, "Hallo.", language="de")]
    StreamingCoordinator.process(texts, adapter)
    said = {language: [request.text for request in speaker.requests] for language, speaker in models.speakers.items()}
    assert said == {"en": ["Hi."], "de": ["Hallo."]}


def test_a_language_without_a_model_is_a_failure() -> None:
    result = ChatterBoxStreamingAdapter(Models()).process_segment(StreamingSegment(0, "Hi.", language="xx"))
    assert isinstance(result.error, StreamingError)
    assert "language='xx'" in result.error_msg


@pytest.mark.slow
def test_real_model_gives_the_same_bits_in_every_mode(wrapper: StatelessChatterBoxWrapper, tmp_path: Path) -> None:
    from stateless_tts.synthetic import write_clip

    clip = write_clip(tmp_path / "clip.wav", seed=3, seconds=1.0)
    given = [
        StreamingSegment(0, "One."),
        StreamingSegment(1, "Two.", voice_path=clip),
        StreamingSegment(2, "Three.", metadata={"temperature": 0.5}),
        StreamingSegment(3, "Four.", voice_path=tmp_path / "absent.wav"),
    ]
    heard = {}
    for workers in (0, 1, 4):
        audio, metrics, _ = StreamingCoordinator.process(
            given, ChatterBoxStreamingAdapter(wrapper), StreamingConfig(batch_size=workers), seed=7
        )
        assert [failure.index for failure in metrics.failures] == [3]
        assert "does not exist" in metrics.failures[0].error_msg
        heard[workers] = audio
    alone = wrapper.generate_stateless("One.", seed=segment_seed(7, 0))
    assert torch.equal(heard[0][0], alone)
    for workers in (1, 4):
        for index in (0, 1, 2):
            assert torch.equal(heard[workers][index], heard[0][index])


@pytest.mark.slow
def test_the_batching_engine_gives_its_own_bits_from_every_worker(model: ChatterboxTTS, tmp_path: Path) -> None:
    from stateless_tts.synthetic import write_clip

    clip = write_clip(tmp_path / "clip.wav", seed=3, seconds=1.0)
    given = [
        StreamingSegment(0, "One."),
        StreamingSegment(1, "Two is longer.", voice_path=clip),
        StreamingSegment(2, "Three.", metadata={"temperature": 0.5}),
        StreamingSegment(3, "Four.", voice_path=tmp_path / "absent.wav"),
        *(StreamingSegment(index, f"Number {index}.", voice_path=clip) for index in range(4, 8)),
    ]
    with ContinuousBatchingEngine(model, max_batch_size=8) as engine:
        alone = {
            segment.index: engine.synthesize(
                SpeechRequest(
                    segment.text,
                    segment.voice_path,
                    seed=segment_seed(7, segment.index),
                    temperature=(segment.metadata or {}).get("temperature", 0.8),
                )
            ).audio
            for segment in given
            if segment.index != 3
        }
        for workers in (0, 8):
            audio, metrics, _ = StreamingCoordinator.process(
                given, ChatterBoxStreamingAdapter(engine), StreamingConfig(batch_size=workers), seed=7
            )
            assert [failure.index for failure in metrics.failures] == [3]
            assert isinstance(metrics.failures[0].error, InvalidClipError)
            assert audio.keys() == alone.keys()
            assert all(torch.equal(audio[index], alone[index]) for index in alone)


@pytest.mark.slow
def test_a_multilingual_model_is_told_the_language() -> None:
    from stateless_tts.models import LoadedModel, choose_model

    model = LoadedModel(choose_model("multilingual", device="cpu"))
    adapter = ChatterBoxStreamingAdapter(model.manager, model, "cpu")
    texts = [StreamingSegment(0, "Ja.", language="de"), StreamingSegment(1, "Oui.", language="French")]
    audio, metrics, success = StreamingCoordinator.process(texts, adapter, StreamingConfig(batch_size=2), seed=3)
    assert success, metrics.failures
    assert list(model.manager.preloaded_models) == ["English", "German", "French"]
    assert model.manager.get_stateless_model_for_language("de") is model.wrapper
    alone = model.wrapper.generate_stateless("Oui.", language_id="fr", seed=segment_seed(3, 1))
    assert torch.equal(audio[1], alone)
