"""A step of a batch is, for each request, the step it would take alone, and stock's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from transformers import DynamicCache

from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._decoding import read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.speech_tokens import Prompt

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

STEPS = 3
# Enough rows for BLAS to take another path than with the two rows of one request.
REQUESTS = 12


def prompt(number: int, dtype: torch.dtype) -> Prompt:
    generator = torch.Generator().manual_seed(number)
    rows = 1 if number == 2 else 2
    return Prompt(torch.randn(rows, 50 + 9 * number, 1024, generator=generator).to(dtype), (34, 40))


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
        caches = {number: read_prompt(speaking.t3.prefill, prompts[number])[0] for number in numbers}
        got: dict[int, list[torch.Tensor]] = {number: [] for number in numbers}
        for step in range(STEPS):
            readings = [
                Reading(caches[number], prompts[number].embeddings.size(0), tokens(number)[step], step + 1)
                for number in numbers
            ]
            rows = speaking.plan.padded(sum(reading.rows for reading in readings))
            for number, logits in zip(numbers, batched_step(speaking.t3.step, readings, rows), strict=True):
                got[number].append(logits.clone())
        return got

    together, reversed_order = decode(list(range(REQUESTS))), decode(list(range(REQUESTS))[::-1])
    for number in range(REQUESTS):
        alone = decode([number])[number]
        stock = stock_logits(speaking.t3.prefill, number, dtype)
        for step in range(STEPS):
            assert torch.equal(together[number][step], alone[step])
            assert torch.equal(reversed_order[number][step], alone[step])
            if dtype is torch.bfloat16 and len(alone[step]) == 2:
                assert torch.equal(alone[step], stock[step])
            torch.testing.assert_close(
                alone[step], stock[step], rtol=1e-2, atol=1e-4 if dtype is torch.float32 else 1e-1
            )
