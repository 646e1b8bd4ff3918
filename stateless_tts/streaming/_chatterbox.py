"""ChatterBox behind the seam."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from chatterbox.mtl_tts import ChatterboxMultilingualTTS

from stateless_tts.errors import QueueFullError
from stateless_tts.manager import language_code
from stateless_tts.request import SpeechRequest, SpeechResult

from ._adapter import SegmentAudio, StreamingEngineAdapter
from ._errors import StreamingError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from ._types import StreamingSegment

# How often a request that an engine of its own works on is asked whether to go on.
_CHECK_SECONDS = 0.05
_NOT_PARAMETERS = {"text", "audio_prompt_path"}


@runtime_checkable
class Speaker(Protocol):
    """Something that speaks requests on the calling thread, such as `StatelessChatterBoxWrapper`."""

    def synthesize(self, request: SpeechRequest, *, checkpoint: Callable[[], None]) -> SpeechResult:
        """Speak `request`; an exception raised from `checkpoint` ends it."""


@runtime_checkable
class SubmittingSpeaker(Protocol):
    """Something that speaks requests by itself, such as a batching engine."""

    def submit(self, request: SpeechRequest) -> Future[SpeechResult]:
        """Begin to speak `request`; the future can be cancelled.

        One that has no place for it may take a ``timeout`` too, and raise `QueueFullError` after so many seconds.
        """


class ModelSource(Protocol):
    """Where the model of a language comes from, such as `StreamingModelManager`."""

    def get_stateless_model_for_language(self, language_code: str, fallback_model: Any = None) -> Any:  # noqa: ANN401 - names kept
        """Return the speaker for `language_code`, or None if there is none."""


class ChatterBoxStreamingAdapter(StreamingEngineAdapter):
    """Speaks segments with ChatterBox: the same bits from every worker and in every mode.

    Args:
        models: one speaker for all languages (a `StatelessChatterBoxWrapper` or a batching engine), or a
            `StreamingModelManager`.
        loader: what the manager loads missing models with: its `preload_models` describes it.
        device: where they are loaded to, if nothing else is said.
    """

    engine_name = "chatterbox"
    parameter_names = frozenset(field.name for field in dataclasses.fields(SpeechRequest)) - _NOT_PARAMETERS

    def __init__(
        self, models: Speaker | SubmittingSpeaker | ModelSource, loader: object = None, device: str = "auto"
    ) -> None:
        self._models = models
        self._loader = loader
        self._device = device

    def preload_models(self, languages: Iterable[str], device: str = "auto") -> None:
        """Load the models of `languages` with the manager; a single speaker needs no loading."""
        preload = getattr(self._models, "preload_models", None)
        if preload is not None and self._loader is not None:
            preload(list(languages), self._loader, self._device if device == "auto" else device)

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        """Speak one segment; see the base class."""
        voice = None if segment.voice_path in ("", "none") else segment.voice_path
        speaker = self._speaker(segment.language)
        if is_multilingual(speaker):
            parameters = {"language_id": language_code(segment.language), **parameters}
        request = SpeechRequest(text=segment.text, audio_prompt_path=voice, **parameters)
        if isinstance(speaker, SubmittingSpeaker):
            spoken = _await(_submit(speaker, request, checkpoint), checkpoint)
        else:
            spoken = speaker.synthesize(request, checkpoint=checkpoint)
        return SegmentAudio(spoken.audio, spoken.sample_rate, {"seed": spoken.seed})

    def _speaker(self, language: str) -> Speaker | SubmittingSpeaker:
        if isinstance(self._models, Speaker | SubmittingSpeaker):
            return self._models
        if self._loader is not None:
            self.preload_models([language])
        speaker = self._models.get_stateless_model_for_language(language)
        if not isinstance(speaker, Speaker | SubmittingSpeaker):
            raise StreamingError(f"language={language!r}: no model is loaded for it, nor one to fall back on")
        return speaker


def is_multilingual(speaker: object) -> bool:
    """Whether requests to `speaker` have to name their language."""
    return isinstance(getattr(speaker, "model", None), ChatterboxMultilingualTTS)


def _submit(speaker: SubmittingSpeaker, request: SpeechRequest, checkpoint: Callable[[], None]) -> Future[SpeechResult]:
    """Hand `request` in; where the speaker can wait for a place in short steps, `checkpoint` is asked between them."""
    if not _takes_timeout(speaker.submit):
        return speaker.submit(request)
    while True:
        checkpoint()
        with contextlib.suppress(QueueFullError):
            return speaker.submit(request, timeout=_CHECK_SECONDS)  # type: ignore[call-arg]


def _takes_timeout(submit: Callable[..., object]) -> bool:
    try:
        parameters = inspect.signature(submit).parameters.values()
    except (TypeError, ValueError):  # built-in: it does not tell
        return False
    return any(parameter.name == "timeout" or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _await(future: Future[SpeechResult], checkpoint: Callable[[], None]) -> SpeechResult:
    try:
        while True:
            try:
                return future.result(timeout=_CHECK_SECONDS)
            except FutureTimeoutError:
                # It may have ended since the poll timed out, and a result may itself be a TimeoutError.
                if future.done():
                    return future.result()
            checkpoint()
    except BaseException:  # also what a killed thread or Ctrl-C raises: nobody waits for the request any more
        future.cancel()
        raise
