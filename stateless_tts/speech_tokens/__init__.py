"""From text and a voice to speech tokens: T3, upstream's autoregressive language model of speech."""

from __future__ import annotations

from ._decode import decode
from ._prompt import Prompt, prepare_prompt, prepare_turbo_prompt
from ._sampler import Sampler, SpeechTokenSampler
from ._text import bounded, tokenize
from ._turbo_sampler import TurboSampler

__all__ = [
    "Prompt",
    "Sampler",
    "SpeechTokenSampler",
    "TurboSampler",
    "bounded",
    "decode",
    "prepare_prompt",
    "prepare_turbo_prompt",
    "tokenize",
]
