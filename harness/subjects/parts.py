"""T3 alone, and S3Gen alone: the part as it is, with a small companion in place of the other part.

Every contestant then runs its own whole path, and what it takes is the part's. Stock, wrapper and engine need no
entry of their own for it. The companion's share is small only beside a part of real size.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest

WHOLE, T3_ALONE, S3GEN_ALONE = "whole", "t3", "s3gen"
PARTS = (WHOLE, T3_ALONE, S3GEN_ALONE)
# What has no cells: each stage by itself, how near the engine's rendering is to stock's, and the open loop.
STAGES, FIDELITY, ARRIVALS = "stages", "fidelity", "arrivals"
EXTRAS = (STAGES, FIDELITY, ARRIVALS)


def model_of_part(part: str, model: ChatterboxTTS, companion: ChatterboxTTS) -> ChatterboxTTS:
    """Return a model that shares the measured part with `model` and takes the other from `companion`."""
    mixed = copy.copy(model)
    if part == T3_ALONE:
        mixed.s3gen = companion.s3gen
    elif part == S3GEN_ALONE:
        mixed.t3 = companion.t3
    return mixed


def with_encoded_voices(requests: Sequence[SpeechRequest], model: ChatterboxTTS) -> tuple[SpeechRequest, ...]:
    """Encode every request's voice beforehand with `model`: a part alone has no voices to encode."""
    from stateless_tts import StatelessChatterBoxWrapper  # noqa: PLC0415 - imports torch

    wrapper = StatelessChatterBoxWrapper(model)
    return tuple(replace(request, audio_prompt_path=wrapper.voice_of(request)) for request in requests)
