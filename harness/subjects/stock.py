"""Stock ChatterBox, used as its own examples use it: seed the process, then `generate`."""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING

import torch

from harness.subject import Subject

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest


class StockCall:
    """Call `generate` of a shared model.

    Stock forgets the built-in voice as soon as any clip was used, so a request without a clip puts a fresh
    copy of it back first, as a caller who keeps that voice has to.
    """

    def __init__(self, model: ChatterboxTTS) -> None:
        self._model = model
        self._built_in_voice = copy.deepcopy(model.conds)

    def __call__(self, request: SpeechRequest) -> torch.Tensor:
        """Return (1, samples) float32."""
        torch.manual_seed(request.seed)
        if request.audio_prompt_path is None:
            self._model.conds = copy.deepcopy(self._built_in_voice)
        audio: torch.Tensor = self._model.generate(
            request.text,
            audio_prompt_path=request.audio_prompt_path,
            exaggeration=request.exaggeration,
            cfg_weight=request.cfg_weight,
            temperature=request.temperature,
            repetition_penalty=request.repetition_penalty,
            min_p=request.min_p,
            top_p=request.top_p,
        )
        return audio


class LockedCall:
    """One lock around seed and `generate`: what people do today."""

    def __init__(self, call: StockCall) -> None:
        self._call = call
        self._lock = threading.Lock()

    def __call__(self, request: SpeechRequest) -> torch.Tensor:
        """Return (1, samples) float32."""
        with self._lock:
            return self._call(request)


def sequential(model: ChatterboxTTS) -> Subject:
    """Stock, to be called from one thread: reference and baseline."""
    return Subject("sequential", StockCall(model), (model,))


def upstream_shared(model: ChatterboxTTS) -> Subject:
    """Stock, called from all threads."""
    return Subject("upstream-shared", StockCall(model), (model,))


def upstream_locked(model: ChatterboxTTS) -> Subject:
    """Stock behind one lock."""
    return Subject("upstream-locked", LockedCall(StockCall(model)), (model,))
