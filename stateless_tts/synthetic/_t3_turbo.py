"""Turbo's T3, on a GPT-2 backbone: it knows absolute positions alone, and stops by comparing three of them.

Reserved channels, as in `_t3`: ``ANCHOR`` and ``RAMP`` are written by the position table; ``TEXT`` marks every text
token and ``START`` the token that starts speech. Two heads of the first layer attend to those marks and copy the ramp
found there to ``TEXT_MIDDLE`` and ``SPEECH_BEGIN``. Twice their difference is the length of the text, and the ramp less
``SPEECH_BEGIN`` is what has been spoken; the logit of the stop token is a sum of those.

The anchor is large, so that layer normalisation divides every position by nearly the same number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.t3 import T3
from chatterbox.models.t3.modules.t3_config import T3Config
from transformers import GPT2Config, GPT2Model

from ._t3 import SpeakingRate
from ._weights import fill, skip_random_init

if TYPE_CHECKING:
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    from ._profile import Profile

ANCHOR, RAMP, TEXT, START, TEXT_MIDDLE, SPEECH_BEGIN = range(6)
_RESERVED = 6

_ANCHOR_LEVEL = 64.0
_MARK_LEVEL = 16.0
_RAMP_PER_POSITION = 0.004
_TYPICAL_POSITION = 300
_CONTENT_GAIN = 4.0
_STOP_LOGIT_PER_TOKEN = 0.6
_NEVER = -1e4
_RATE = SpeakingRate(tokens_per_character=0.4, tokens_before_text=-32.0)
_REAL_TEXT_TOKENS = 50_276


def build_turbo_t3(profile: Profile | None, generator: torch.Generator) -> T3:
    """Return upstream's Turbo `T3` on the CPU; `profile=None` keeps upstream's real size."""
    with skip_random_init():
        t3 = T3(_hyperparameters(_REAL_TEXT_TOKENS if profile is None else profile.turbo_text_tokens))
        if profile is not None:
            settings = {**t3.cfg.to_dict(), "n_layer": profile.turbo_layers, "n_inner": profile.turbo_intermediate}
            implementation = t3.cfg._attn_implementation  # noqa: SLF001 - as transformers chose it for upstream
            t3.cfg = GPT2Config(**settings, attn_implementation=implementation)
            t3.tfmr = GPT2Model(t3.cfg)
    del t3.tfmr.wte  # as upstream's `from_local` does
    fill(t3, generator)
    with torch.no_grad():
        _reserve_channels(t3)
        scale = _normalisation(t3)
        _copy_ramp(t3.tfmr.h[0].attn, head=0, mark=TEXT, channel=TEXT_MIDDLE, scale=scale)
        _copy_ramp(t3.tfmr.h[0].attn, head=1, mark=START, channel=SPEECH_BEGIN, scale=scale)
        _shape_speech_head(t3, scale)
    return t3.eval()


def _hyperparameters(text_tokens: int) -> T3Config:
    """Return what upstream's `ChatterboxTurboTTS.from_local` sets."""
    hp = T3Config(text_tokens_dict_size=text_tokens)
    hp.llama_config_name = "GPT2_medium"
    hp.speech_tokens_dict_size = 6563
    hp.input_pos_emb = None
    hp.speech_cond_prompt_len = 375
    hp.use_perceiver_resampler = False
    hp.emotion_adv = False
    return hp


def _reserve_channels(t3: T3) -> None:
    for block in t3.tfmr.h:
        block.attn.c_attn.weight.mul_(_CONTENT_GAIN)
        block.mlp.c_fc.weight.mul_(_CONTENT_GAIN)
        for writer in (block.attn.c_proj, block.mlp.c_proj):
            writer.weight[:, :_RESERVED] = 0.0
    for embedding in (t3.text_emb, t3.speech_emb, t3.tfmr.wpe):
        embedding.weight[:, :_RESERVED] = 0.0
    t3.tfmr.wpe.weight[:, ANCHOR] = _ANCHOR_LEVEL
    t3.tfmr.wpe.weight[:, RAMP] = torch.arange(t3.tfmr.wpe.num_embeddings) * _RAMP_PER_POSITION
    t3.text_emb.weight[:, TEXT] = _MARK_LEVEL
    t3.speech_emb.weight[t3.hp.start_speech_token, START] = _MARK_LEVEL


def _normalisation(t3: T3) -> float:
    """Return what layer normalisation divides an ordinary position by."""
    position: torch.Tensor = t3.tfmr.wpe.weight[_TYPICAL_POSITION] + t3.speech_emb.weight[t3.hp.start_speech_token]
    return position.std(correction=0).item()


def _copy_ramp(attention: GPT2Attention, *, head: int, mark: int, channel: int, scale: float) -> None:
    """Let `head` attend to where channel `mark` stands out, and write the mean ramp found there to `channel`."""
    width, dim = attention.head_dim, attention.embed_dim
    begin = head * width
    queries, keys, values = (attention.c_attn.weight[:, i * dim : (i + 1) * dim] for i in range(3))
    for projection in (queries, keys, values):
        projection[:, begin : begin + width] = 0.0
    attention.c_proj.weight[begin : begin + width] = 0.0
    # The score is above 40 at a mark and zero elsewhere; upstream's layer norms have no bias here.
    queries[ANCHOR, begin] = 0.5 * scale
    keys[mark, begin] = 0.75 * scale
    values[RAMP, begin] = scale
    attention.c_proj.weight[begin, channel] = 1.0


def _shape_speech_head(t3: T3, scale: float) -> None:
    head, hp = t3.speech_head, t3.hp
    head.weight.mul_(2.0 * _CONTENT_GAIN)
    head.weight[:, :_RESERVED] = 0.0
    head.weight[hp.start_speech_token :] = 0.0
    head.bias[hp.start_speech_token] = _NEVER
    per_ramp = _STOP_LOGIT_PER_TOKEN / _RAMP_PER_POSITION * scale
    text_share = 2 * _RATE.tokens_per_character
    stop = head.weight[hp.stop_speech_token]
    stop[RAMP] = per_ramp
    stop[SPEECH_BEGIN] = -per_ramp * (1 + text_share)
    stop[TEXT_MIDDLE] = per_ramp * text_share
    head.bias[hp.stop_speech_token] = -_RATE.tokens_before_text * _STOP_LOGIT_PER_TOKEN
