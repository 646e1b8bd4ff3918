"""F5-TTS behind the seam."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

from stateless_tts.errors import InvalidParameterError, MissingVoiceError
from stateless_tts.streaming import SegmentAudio, StreamingEngineAdapter

from ._request import F5Request
from ._speak import speak
from ._voice import F5Voice

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stateless_tts.streaming import StreamingSegment

    from ._model import F5Model

_REF_TEXT = "ref_text"


class F5StreamingAdapter(StreamingEngineAdapter):
    """Speaks segments with F5: the same bits from every worker and in every mode.

    A segment's `voice_path` is the name of one of `voices`, or the path of a clip; with a path goes ``ref_text``, the
    words said in the clip, among the segment's metadata or the parameters of the run.

    Args:
        model: shared by all workers.
        voices: by name.
        default_voice: of segments that name none.
    """

    engine_name = "f5"
    parameter_names = frozenset(field.name for field in dataclasses.fields(F5Request)) - {"text", "voice"} | {_REF_TEXT}

    def __init__(
        self, model: F5Model, voices: Mapping[str, F5Voice] | None = None, default_voice: F5Voice | None = None
    ) -> None:
        self._model = model
        self._voices = dict(voices or {})
        self._default_voice = default_voice

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        """Speak one segment; see the base class."""
        rest = {name: value for name, value in parameters.items() if name != _REF_TEXT}
        voice = self._voice(segment, parameters.get(_REF_TEXT))
        request = F5Request(text=segment.text, voice=voice, **rest)
        return SegmentAudio(speak(self._model, request, checkpoint), self._model.sample_rate)

    def _voice(self, segment: StreamingSegment, ref_text: str | None) -> F5Voice:
        asked = segment.voice_path
        if asked is None or asked in ("", "none"):
            if self._default_voice is None:
                raise MissingVoiceError(f"voice_path={asked!r} and there is no default voice; {self._expected()}")
            return self._default_voice
        if isinstance(asked, str) and asked in self._voices:
            return self._voices[asked]
        if not isinstance(asked, str | os.PathLike):
            raise InvalidParameterError(f"voice_path={asked!r}: {self._expected()}")
        if ref_text is None:
            raise InvalidParameterError(f"voice_path={str(asked)!r} without ref_text; {self._expected()}")
        return F5Voice.from_clip(asked, ref_text)

    def _expected(self) -> str:
        named = f"one of the voices {', '.join(sorted(self._voices))}, or " if self._voices else ""
        return f"expected {named}the path of a clip, and as ref_text the words that are said in it"
