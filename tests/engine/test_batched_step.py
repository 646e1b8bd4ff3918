"""A step of a batch is, for each request, the step it would take alone, and stock's."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from chatterbox.models.t3.inference.alignment_stream_analyzer import LLAMA_ALIGNED_HEADS
from transformers import DynamicCache

from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._prompts import read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

STEPS = 3
# Enough rows for BLAS to take another path than with the two rows of one request.
REQUESTS = 12


def prompt(number: int, dtype: torch.dtype) -> Prompt:
    generator = torch.Generator().manual_seed(number)
    rows = 1 if number == 2 else 2
    return Prompt(torch.randn(rows, 50 + 3 * number, 1024, generator=generator).to(dtype), (34, 40), 33)


def tokens(number: int) -> torch.Tensor:
    return torch.randint(0, 6561, (STEPS, 1, 1), generator=torch.Generator().manual_seed(100 + number))


@torch.inference_mode()
def stock_logits(t3: T3, number: int, dtype: torch.dtype) -> list[torch.Tensor]:
    """Decode as upstream does: transformers' own forward over a concatenating cache."""
    cache, rows = DynamicCache(config=t3.cfg), prompt(number, dtype).embeddings.size(0)
    t3.tfmr(inputs_embeds=prompt(number, dtype).embeddings, past_key_values=cache, use_cache=True)
    logits = []
    for step, token in enumerate(tokens(number), start=1):
        embedded = (t3.speech_emb(token) + t3.speech_pos_emb.get_fixed_embedding(step)).expand(rows, -1, -1)
        hidden = t3.tfmr(inputs_embeds=embedded, past_key_values=cache, use_cache=True).last_hidden_state
        logits.append(t3.speech_head(hidden)[:, -1])
    return logits


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_a_batch_gives_each_what_it_gets_alone(model: ChatterboxTTS, dtype: torch.dtype) -> None:
    speaking = prepare_decoding(model.t3, REQUESTS, dtype, pack=dtype is torch.bfloat16)

    @torch.inference_mode()
    def decode(numbers: list[int]) -> dict[int, list[torch.Tensor]]:
        prompts = {number: prompt(number, dtype) for number in numbers}
        caches = {number: read_prompt(speaking.t3, prompts[number])[0] for number in numbers}
        got: dict[int, list[torch.Tensor]] = {number: [] for number in numbers}
        for step in range(STEPS):
            readings = [
                Reading(caches[number], prompts[number].embeddings.size(0), tokens(number)[step], step + 1)
                for number in numbers
            ]
            rows = speaking.plan.padded(sum(reading.rows for reading in readings))
            for number, logits in zip(numbers, batched_step(speaking.t3, readings, rows), strict=True):
                got[number].append(logits.clone())
        return got

    together, reversed_order = decode(list(range(REQUESTS))), decode(list(range(REQUESTS))[::-1])
    for number in range(REQUESTS):
        alone = decode([number])[number]
        stock = stock_logits(model.t3 if dtype is torch.float32 else speaking.t3, number, dtype)
        for step in range(STEPS):
            assert torch.equal(together[number][step], alone[step])
            assert torch.equal(reversed_order[number][step], alone[step])
            if dtype is torch.bfloat16 and len(alone[step]) == 2:
                assert torch.equal(alone[step], stock[step])
            torch.testing.assert_close(
                alone[step], stock[step], rtol=1e-2, atol=1e-4 if dtype is torch.float32 else 1e-1
            )


class Seen:
    """Keeps what it is shown, by layer."""

    def __init__(self) -> None:
        self.maps: dict[int, torch.Tensor] = {}

    def see(self, layer: int, weights: torch.Tensor) -> None:
        self.maps[layer] = weights.clone()


@torch.inference_mode()
def test_each_watcher_sees_the_maps_that_stock_would_show_it() -> None:
    """In bfloat16, where a step has stock's bits: logits and attention of every row, whoever else is in the batch."""
    dtype = torch.bfloat16
    t3 = build_chatterbox("multilingual").t3
    speaking = prepare_decoding(t3, REQUESTS, dtype, pack=True)
    stock = copy.deepcopy(t3).to(dtype)
    stock.tfmr.config._attn_implementation = "eager"
    embeddings = [torch.randn(2, 20 + 3 * n, 1024, generator=torch.Generator().manual_seed(n)) for n in range(REQUESTS)]
    pasts, caches = [], []
    for number in range(REQUESTS):
        past = DynamicCache(config=stock.cfg)
        stock.tfmr(inputs_embeds=embeddings[number].to(dtype), past_key_values=past, use_cache=True)
        pasts.append(past)
        caches.append(KeyValueCache([(layer.keys, layer.values) for layer in past.layers]))
    seen = [Seen() for _ in range(REQUESTS)]
    for step in range(STEPS):
        readings = [
            Reading(caches[number], 2, tokens(number)[step], step + 1, seen[number]) for number in range(REQUESTS)
        ]
        together = batched_step(speaking.t3, readings, speaking.plan.padded(2 * REQUESTS))
        for number in range(REQUESTS):
            embedded = stock.speech_emb(tokens(number)[step]) + stock.speech_pos_emb.get_fixed_embedding(step + 1)
            out = stock.tfmr(
                inputs_embeds=embedded.expand(2, -1, -1), past_key_values=pasts[number], output_attentions=True
            )
            assert torch.equal(together[number], stock.speech_head(out.last_hidden_state)[:, -1])
            for layer, head in LLAMA_ALIGNED_HEADS:
                assert torch.equal(seen[number].maps[layer][0, head], out.attentions[layer][0, head])
