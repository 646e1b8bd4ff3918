"""A prompt says where its voice ends: up to there it is the same for any exaggeration, text and row."""

from __future__ import annotations

import pytest
import torch

from stateless_tts.speech_tokens import Prompt, prepare_prompt, prepare_turbo_prompt
from stateless_tts.synthetic import build_chatterbox
from stateless_tts.voice import Voice


@pytest.mark.parametrize("family", ["english", "multilingual"])
def test_exaggeration_comes_behind_the_voice(family: str) -> None:
    model = build_chatterbox(family)
    voice = Voice.from_conditionals(model.conds)

    def prompt(exaggeration: float, *text: int) -> Prompt:
        tokens = torch.tensor([[255, *text, 0]])
        return prepare_prompt(model.t3, voice, tokens, exaggeration=exaggeration, cfg_weight=0.5)

    one, other, longer = prompt(0.25, 7, 8), prompt(0.75, 7, 8), prompt(0.25, 9, 7, 8)
    begin, end = one.text_span
    assert one.voice_end == other.voice_end == longer.voice_end == begin - 1
    assert torch.equal(one.embeddings[:, : one.voice_end], other.embeddings[:, : one.voice_end])
    assert torch.equal(one.embeddings[:, :begin], longer.embeddings[:, :begin])
    assert torch.equal(*one.embeddings[:, : one.voice_end])
    assert not torch.equal(one.embeddings[:, one.voice_end], other.embeddings[:, one.voice_end])
    assert end - begin == 4


def test_turbos_text_comes_behind_the_voice() -> None:
    model = build_chatterbox("turbo")
    voice = Voice.from_conditionals(model.conds)
    one, other = (prepare_turbo_prompt(model.t3, voice, torch.tensor([[7, *text]])) for text in ((8,), (9, 7)))
    assert one.voice_end == other.voice_end == one.text_span[0] == other.text_span[0]
    assert torch.equal(one.embeddings[:, : one.voice_end + 1], other.embeddings[:, : one.voice_end + 1])


@pytest.mark.parametrize("family", ["english", "multilingual"])
def test_the_unconditional_rows_text_is_blank(family: str) -> None:
    t3, voice = (model := build_chatterbox(family)).t3, Voice.from_conditionals(model.conds)
    tokens = torch.tensor([[255, 7, 8, 9, 0]])

    def prompt(cfg_weight: float) -> Prompt:
        return prepare_prompt(t3, voice, tokens, exaggeration=0.5, cfg_weight=cfg_weight, always_two_rows=True)

    guided = prompt(0.5)
    begin, end = guided.text_span
    assert guided.blank is not None
    assert torch.equal(guided.embeddings[1, begin:end], guided.blank[:5])
    assert not torch.equal(guided.embeddings[0, begin:end], guided.blank[:5])
    assert len(guided.blank) == t3.hp.max_text_tokens + 2
    assert prompt(0.0).blank is None
    assert torch.equal(*prompt(0.0).embeddings)
