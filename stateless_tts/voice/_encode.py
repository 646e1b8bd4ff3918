"""From a clip to a voice, by upstream's own code, on an object of the call's own."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from ._voice import Voice

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

    from ._clip import Clip


def encode_voice(model: ChatterboxTTS, clip: Clip) -> Voice:
    """Encode `clip` with the encoders of `model`; the model is not written to.

    Upstream's `prepare_conditionals` stores its result on the object it is called on, so it is called on a shallow
    copy: the networks are the shared ones, the result is ours alone.
    """
    scratch = copy.copy(model)
    # The modes a thread starts with, whatever the caller's are: they are part of what stock computes.
    with torch.inference_mode(mode=False), torch.set_grad_enabled(True):
        scratch.prepare_conditionals(clip.open())
    assert scratch.conds is not None
    return Voice.from_conditionals(scratch.conds)
