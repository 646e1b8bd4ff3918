"""A prompt is read on its own: as stock reads it, or its voice apart, whether or not that was read before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch
from transformers import DynamicCache

from stateless_tts.engine._prompts import Beginnings, read_prompt
from stateless_tts.speech_tokens import Prompt
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._kv_cache import KeyValueCache

POSITIONS = 45
VOICE = 33


def prompt(voice: int, text: int, rows: int = 2) -> Prompt:
    beginning = torch.randn(1, VOICE, 1024, generator=torch.Generator().manual_seed(voice))
    rest = torch.randn(rows, POSITIONS - VOICE, 1024, generator=torch.Generator().manual_seed(100 * rows + text))
    return Prompt(torch.cat([beginning.expand(rows, -1, -1), rest], dim=1), (VOICE + 1, POSITIONS - 2), VOICE)


@torch.inference_mode()
def layers_of(cache: KeyValueCache, t3: T3) -> list[torch.Tensor]:
    """Return the keys and values of every layer, each of shape (2, rows, heads, positions, head_dim)."""
    assert cache.length == POSITIONS
    cache.reserve()
    nothing = torch.zeros(2, 1, 1, 1, 1)
    layers = range(t3.cfg.num_hidden_layers)
    return [torch.stack(cache.put(layer, nothing))[..., :POSITIONS, :] for layer in layers]


@torch.inference_mode()
def stocks(t3: T3, embeddings: torch.Tensor) -> tuple[list[torch.Tensor], torch.Tensor]:
    past = DynamicCache(config=t3.cfg)
    hidden = t3.tfmr(inputs_embeds=embeddings, past_key_values=past, use_cache=True).last_hidden_state
    return [torch.stack((layer.keys, layer.values)) for layer in past.layers], t3.speech_head(hidden)[:, -1]


def test_a_prompt_in_one_go_leaves_stocks_keys_values_and_logits(model: ChatterboxTTS) -> None:
    cache, logits = read_prompt(model.t3, prompt(1, 1))
    layers, expected = stocks(model.t3, prompt(1, 1).embeddings)
    assert torch.equal(logits, expected)
    assert all(map(torch.equal, layers_of(cache, model.t3), layers))


@pytest.mark.parametrize("family", ["english", "turbo"])
@pytest.mark.parametrize("rows", [1, 2])
def test_a_prompt_whose_voice_is_read_apart_is_near_stocks(family: str, rows: int) -> None:
    t3 = build_chatterbox(family).t3
    cache, logits = read_prompt(t3, prompt(1, 1, rows), Beginnings(2**30))
    layers, expected = stocks(t3, prompt(1, 1, rows).embeddings)
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layers_of(cache, t3), layers, rtol=1e-4, atol=1e-4)


def test_a_prompt_has_the_same_bits_whoever_began_like_it(model: ChatterboxTTS) -> None:
    beginnings = Beginnings(2**30)
    for one in (prompt(1, 1), prompt(2, 1), prompt(1, 2, rows=1), prompt(1, 1)):
        cache, logits = read_prompt(model.t3, one, beginnings)
        alone, expected = read_prompt(model.t3, one, Beginnings(2**30))
        assert torch.equal(logits, expected)
        assert all(map(torch.equal, layers_of(cache, model.t3), layers_of(alone, model.t3)))


@pytest.mark.parametrize("position", [0, VOICE // 2, VOICE - 1])
def test_voices_that_differ_in_one_place_are_told_apart(model: ChatterboxTTS, position: int) -> None:
    one, kept = prompt(1, 1), Beginnings(2**30)
    embeddings = one.embeddings.clone()
    embeddings[:, position, -1] += 1.0
    other = replace(one, embeddings=embeddings)
    read_prompt(model.t3, one, kept)
    assert torch.equal(read_prompt(model.t3, other, kept)[1], read_prompt(model.t3, other, Beginnings(0))[1])
    assert len(kept._first) == 2


def test_a_voice_is_read_once_and_the_one_unused_for_longest_goes_first(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch
) -> None:
    of_one = 2 * model.t3.cfg.num_hidden_layers * VOICE * 1024 * 4
    beginnings = Beginnings(2 * of_one)
    positions: list[int] = []
    forward = model.t3.tfmr.forward

    def counted(inputs_embeds: torch.Tensor, **others: object) -> object:
        positions.append(inputs_embeds.size(0) * inputs_embeds.size(1))
        return forward(inputs_embeds=inputs_embeds, **others)

    monkeypatch.setattr(model.t3.tfmr, "forward", counted)
    rest = 2 * (POSITIONS - VOICE)
    for voice, read in ((1, True), (2, True), (1, False), (3, True), (1, False), (2, True)):
        positions.clear()
        read_prompt(model.t3, prompt(voice, 1), beginnings)
        assert positions == [VOICE] * read + [rest]
        assert beginnings.nbytes <= 2 * of_one
    nothing_kept = Beginnings(of_one - 1)
    read_prompt(model.t3, prompt(1, 1), nothing_kept)
    assert nothing_kept.nbytes == 0
