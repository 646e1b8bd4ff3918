"""What the audit watches of upstream and of this project, a target for each family, with requests of its own.

A server keeps a few voices ready and speaks with whichever a request names. So does `KeptVoiceCall`: a request with a
clip goes through upstream's `generate`, one without speaks with the kept voice, which is put back as it is, uncopied.
The audit makes dozens of calls, so the requests are as short as they can be; length changes neither what is written
nor where. Two of them have the same voice: they are the ones that meet in one `T3Cond`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from harness.errors import UsageError
from harness.subject import Subject
from harness.subjects.scratch import scratch_folder
from stateless_tts import SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox, write_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.subjects.source import ModelSource

CLIP_S = {"turbo": 5.2}
SHORT_CLIP_S = 0.5
LANGUAGES = ("fr", "de", "fr")
ENGLISH, MULTILINGUAL, TURBO = "english", "multilingual", "turbo"


class KeptVoiceCall:
    """Seed the process, put the kept voice back if the request names no clip, and call upstream's `generate`."""

    def __init__(self, model: Any, *, multilingual: bool = False) -> None:  # noqa: ANN401 - upstream's models have no common class
        self._model, self._multilingual = model, multilingual
        self._kept_voice = model.conds

    def __call__(self, request: SpeechRequest) -> torch.Tensor:
        """Return (1, samples) float32."""
        torch.manual_seed(request.seed)
        if request.audio_prompt_path is None:
            self._model.conds = self._kept_voice
        language = {"language_id": request.language_id} if self._multilingual else {}
        audio: torch.Tensor = self._model.generate(
            request.text,
            audio_prompt_path=request.audio_prompt_path,
            exaggeration=request.exaggeration,
            temperature=request.temperature,
            **language,
        )
        return audio


def short_requests(family: str, folder: Path) -> tuple[SpeechRequest, ...]:
    """Two requests with the kept voice, and one with a clip and another exaggeration; all else differs too."""
    clip = write_clip(folder / "other-voice.wav", 1, CLIP_S.get(family, SHORT_CLIP_S))
    languages = LANGUAGES if family == MULTILINGUAL else (None,) * len(LANGUAGES)
    return (
        SpeechRequest("Hi.", seed=1, language_id=languages[0]),
        SpeechRequest("What?", clip, exaggeration=0.7, temperature=0.7, seed=3, language_id=languages[1]),
        SpeechRequest("Oh?", temperature=0.9, seed=2, language_id=languages[2]),
    )


def _model(family: str, source: ModelSource, folder: Path) -> Any:  # noqa: ANN401 - upstream's models have no common class
    """The model, with a kept voice as short as its family allows."""
    if family != ENGLISH and source.kind != "synthetic":
        raise UsageError(f"the {family} family is audited with synthetic weights only, not with a {source.kind} model")
    model: Any = source.load() if family == ENGLISH else build_chatterbox(family, source.profile, device=source.device)
    model.prepare_conditionals(write_clip(folder / "kept-voice.wav", 2, CLIP_S.get(family, SHORT_CLIP_S)))
    return model


def _upstream(name: str, family: str) -> Callable[[ModelSource], Subject]:
    def make(source: ModelSource) -> Subject:
        folder = scratch_folder("audit")
        model = _model(family, source, folder)
        call = KeptVoiceCall(model, multilingual=family == MULTILINGUAL)
        return Subject(name, call, (model,), short_requests(family, folder))

    return make


def _stateless(name: str, family: str) -> Callable[[ModelSource], Subject]:
    def make(source: ModelSource) -> Subject:
        folder = scratch_folder("audit")
        wrapper = StatelessChatterBoxWrapper(_model(family, source, folder))

        def call(request: SpeechRequest) -> torch.Tensor:
            return wrapper.synthesize(request).audio

        return Subject(name, call, (wrapper.model, wrapper), short_requests(family, folder))

    return make


AUDITED: Mapping[str, Callable[[ModelSource], Subject]] = {
    "upstream-shared": _upstream("upstream-shared", ENGLISH),
    "upstream-multilingual": _upstream("upstream-multilingual", MULTILINGUAL),
    "upstream-turbo": _upstream("upstream-turbo", TURBO),
    "stateless": _stateless("stateless", ENGLISH),
    "stateless-multilingual": _stateless("stateless-multilingual", MULTILINGUAL),
    "stateless-turbo": _stateless("stateless-turbo", TURBO),
}
