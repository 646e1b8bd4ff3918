"""From text and a voice to speech tokens: T3, upstream's autoregressive language model of speech."""

from __future__ import annotations

from ._decode import decode
from ._prompt import Prompt, prepare_prompt
from ._sampler import SpeechTokenSampler
from ._text import tokenize

__all__ = ["Prompt", "SpeechTokenSampler", "decode", "prepare_prompt", "tokenize"]
