"""What stock, run alone, makes of the soak's requests: the models of every family, and nobody else at work."""

from __future__ import annotations

import copy
import hashlib
import time
from typing import TYPE_CHECKING, Any

import torch

from harness.run.digest import mark
from harness.run.soak.records import SoakReference
from harness.workload.soak import CONVERTING
from stateless_tts.files import wav_bytes
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from harness.workload.soak import SoakRequest


def stock_references(requests: Sequence[SoakRequest], clips: Mapping[str, Path]) -> tuple[SoakReference, ...]:
    """Let stock carry out every request on models of its own, which are gone afterwards."""
    references = []
    for family in dict.fromkeys(request.family for request in requests):
        model: Any = build_chatterbox(family)
        own_voice = copy.deepcopy(_voice(model))
        for request in requests:
            if request.family == family:
                _give_voice(model, copy.deepcopy(own_voice))
                references.append(_reference(model, request, clips))
    return tuple(references)


def stock_audio(model: Any, request: SoakRequest, clips: Mapping[str, Path]) -> torch.Tensor:  # noqa: ANN401 - any family
    """Return what ``torch.manual_seed(seed); model.generate(...)`` returns, (1, samples) float32."""
    clip = None if request.clip is None else str(clips[request.clip])
    torch.manual_seed(request.seed)
    if request.family == CONVERTING:
        converted: torch.Tensor = model.generate(str(clips[request.recording]), target_voice_path=clip)
        return converted
    language = {"language_id": request.language} if request.family == "multilingual" else {}
    audio: torch.Tensor = model.generate(request.text, audio_prompt_path=clip, **language, **request.parameters)
    return audio


def _reference(model: Any, request: SoakRequest, clips: Mapping[str, Path]) -> SoakReference:  # noqa: ANN401 - any family
    began = time.perf_counter()
    audio = stock_audio(model, request, clips)
    seconds = time.perf_counter() - began
    content = wav_bytes(audio, model.sr)
    return SoakReference(request.key, mark(audio).sha256, hashlib.sha256(content).hexdigest(), audio.shape[-1], seconds)


def _voice(model: Any) -> Any:  # noqa: ANN401 - any family
    return model.conds if hasattr(model, "conds") else model.ref_dict


def _give_voice(model: Any, voice: Any) -> None:  # noqa: ANN401 - any family
    if hasattr(model, "conds"):
        model.conds = voice
    else:
        model.ref_dict = voice
