"""A step of Turbo's batch is, for each request, the step it would take alone, and stock's."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import DynamicCache

from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._prompts import read_prompt
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox
from tests.engine.families import SLOW_TURBO

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3

STEPS = 3
REQUESTS = 11


@pytest.fixture(scope="module")
def turbo() -> T3:
    return build_chatterbox("turbo").t3


def prompt(number: int, dtype: torch.dtype) -> Prompt:
    generator = torch.Generator().manual_seed(number)
    return Prompt(torch.randn(1, 50 + 9 * number, 1024, generator=generator).to(dtype), (34, 40), 33)


def tokens(number: int) -> torch.Tensor:
    return torch.randint(0, 6561, (STEPS, 1, 1), generator=torch.Generator().manual_seed(100 + number))


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        pytest.param(
            torch.bfloat16,
            marks=pytest.mark.skipif(SLOW_TURBO, reason="stock's Turbo takes minutes in bfloat16 here"),
        ),
    ],
    ids=["float32", "bfloat16"],
)
@torch.inference_mode()
def test_a_batch_gives_each_what_it_gets_alone(turbo: T3, dtype: torch.dtype) -> None:
    speaking = prepare_decoding(turbo, REQUESTS, dtype, pack=True)
    stock = copy.deepcopy(turbo).to(dtype)

    def stock_logits(number: int) -> list[torch.Tensor]:
        """Decode as upstream does: transformers' own forward over a concatenating cache."""
        cache = DynamicCache(config=stock.cfg)
        stock.tfmr(inputs_embeds=prompt(number, dtype).embeddings, past_key_values=cache, use_cache=True)
        hidden = [
            stock.tfmr(inputs_embeds=stock.speech_emb(token), past_key_values=cache, use_cache=True)[0]
            for token in tokens(number)
        ]
        return [stock.speech_head(one)[:, -1] for one in hidden]

    def decode(numbers: list[int]) -> dict[int, list[torch.Tensor]]:
        caches = {number: read_prompt(speaking.t3, prompt(number, dtype))[0] for number in numbers}
        got: dict[int, list[torch.Tensor]] = {number: [] for number in numbers}
        for step in range(STEPS):
            readings = [Reading(caches[number], 1, tokens(number)[step], step + 1) for number in numbers]
            rows = speaking.plan.padded(len(readings))
            for number, logits in zip(numbers, batched_step(speaking.t3, readings, rows), strict=True):
                got[number].append(logits.clone())
        return got

    together, reversed_order = decode(list(range(REQUESTS))), decode(list(range(REQUESTS))[::-1])
    for number in range(REQUESTS):
        alone, wanted = decode([number])[number], stock_logits(number)
        for step in range(STEPS):
            assert torch.equal(together[number][step], alone[step])
            assert torch.equal(reversed_order[number][step], alone[step])
            if dtype is torch.bfloat16:
                assert torch.equal(alone[step], wanted[step])
            torch.testing.assert_close(alone[step], wanted[step], rtol=1e-4, atol=1e-3)


@torch.inference_mode()
def test_the_prompt_is_read_as_stock_reads_it(turbo: T3) -> None:
    own = prompt(1, torch.float32)
    cache, logits = read_prompt(prepare_decoding(turbo, 2, torch.float32, pack=False).t3, own)
    past = DynamicCache(config=turbo.cfg)
    hidden = turbo.tfmr(inputs_embeds=own.embeddings, past_key_values=past, use_cache=True)[0]
    assert torch.equal(logits, turbo.speech_head(hidden[:, -1:])[:, -1])
    assert cache.length == own.embeddings.size(1)
