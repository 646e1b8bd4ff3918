"""A prompt is read on its own, as stock reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from stateless_tts.engine._decoding import read_prompt
from stateless_tts.speech_tokens import Prompt

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


def test_a_prompt_leaves_stocks_keys_values_and_logits(model: ChatterboxTTS) -> None:
    embeddings = torch.randn(2, 45, 1024, generator=torch.Generator().manual_seed(1))
    cache, logits = read_prompt(model.t3, Prompt(embeddings, (34, 40)))
    with torch.inference_mode():
        past = DynamicCache(config=model.t3.cfg)
        hidden = model.t3.tfmr(inputs_embeds=embeddings, past_key_values=past, use_cache=True).last_hidden_state
        assert torch.equal(logits, model.t3.speech_head(hidden)[:, -1])
        assert cache.length == 45
        cache.reserve()
        for index, layer in enumerate(past.layers):
            keys, values = cache.put(index, torch.zeros(2, 2, 16, 1, 64))
            assert torch.equal(keys[:, :, :45], layer.keys)
            assert torch.equal(values[:, :, :45], layer.values)
