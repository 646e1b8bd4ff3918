"""Every family's synthetic model is upstream's own, draws nothing process-wide, and stops by itself."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from chatterbox.models.t3 import llama_configs

from stateless_tts import SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox

FAMILIES = {
    "english": "ChatterboxTTS",
    "multilingual": "ChatterboxMultilingualTTS",
    "turbo": "ChatterboxTurboTTS",
    "vc": "ChatterboxVC",
}
STOP = 6562


@pytest.mark.parametrize(("family", "name"), FAMILIES.items())
def test_it_is_upstreams_own_and_leaves_the_process_alone(family: str, name: str) -> None:
    state = torch.random.get_rng_state()
    configs = copy.deepcopy(llama_configs.LLAMA_CONFIGS)
    model: Any = build_chatterbox(family)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert configs == llama_configs.LLAMA_CONFIGS
    assert type(model).__name__ == name
    assert type(model).__module__.startswith("chatterbox.")
    assert not any(module.training for module in model.s3gen.modules())
    voice = model.ref_dict if family == "vc" else model.conds
    assert voice is not None


@pytest.mark.parametrize(("family", "language"), [("multilingual", "en"), ("turbo", None)])
def test_it_stops_by_itself_and_long_texts_last_longer(family: str, language: str | None) -> None:
    wrapper = StatelessChatterBoxWrapper(build_chatterbox(family))
    short, long = (
        wrapper.synthesize(SpeechRequest("Ten chars." * times, seed=3, language_id=language)) for times in (1, 5)
    )
    assert short.speech_tokens[-1] == long.speech_tokens[-1] == STOP, "it did not stop by itself"
    assert 2 * len(short.speech_tokens) <= len(long.speech_tokens) < 250
