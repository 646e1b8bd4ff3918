"""This project's wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.subject import Subject
from stateless_tts import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    import torch
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest


def stateless(model: ChatterboxTTS) -> Subject:
    """One wrapper around the shared model, called from all threads."""
    wrapper = StatelessChatterBoxWrapper(model)

    def call(request: SpeechRequest) -> torch.Tensor:
        return wrapper.synthesize(request).audio

    return Subject("stateless", call, (model, wrapper))
