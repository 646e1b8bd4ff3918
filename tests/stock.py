"""Stock ChatterBox run alone: what every result is compared with."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import torch
from chatterbox.tts import Conditionals

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest


def fresh_conditionals(conditionals: Conditionals) -> Conditionals:
    """Copy a built-in voice as it was loaded: stock loses and rewrites the one it holds."""
    t3 = {name: value for name, value in vars(conditionals.t3).items() if name != "cond_prompt_speech_emb"}
    return Conditionals(type(conditionals.t3)(**t3), dict(conditionals.gen))


def stock_generate(model: ChatterboxTTS, built_in: Conditionals, request: SpeechRequest) -> torch.Tensor:
    """Return what ``torch.manual_seed(seed); model.generate(...)`` returns for `request`."""
    assert request.seed is not None
    arguments = {
        name: value
        for name, value in asdict(request).items()
        if name in {"text", "exaggeration", "cfg_weight", "temperature", "repetition_penalty", "min_p", "top_p"}
    }
    model.conds = fresh_conditionals(built_in)
    state = torch.random.get_rng_state()
    try:
        torch.manual_seed(request.seed)
        audio: torch.Tensor = model.generate(audio_prompt_path=request.audio_prompt_path, **arguments)
    finally:
        torch.random.set_rng_state(state)
    return audio
