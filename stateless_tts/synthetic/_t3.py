"""A T3 that speaks: random weights, and a few channels that make it stop by itself and hear its parameters.

With random weights alone T3 emits ids that S3Gen cannot read, almost never stops, and is deaf to exaggeration.
Six channels of the residual stream are therefore reserved: no layer writes to them but one attention head.

- ``ANCHOR`` is large at every text and speech position. It makes the normalisation nearly constant, and the
  speech head reads it to put ids that are no speech tokens out of reach.
- ``SPEECH_RAMP`` grows with the position in the utterance, ``TEXT_RAMP`` with the position in the text.
- ``TEXT_END`` marks the last text token. Head 0 of layer 0 looks for it and copies its text ramp, so the length
  of the text, to ``TEXT_LENGTH`` of every later position.
- ``EXAGGERATION`` is what the exaggeration is written to. Head 0 of layer 1 looks for it and moves every later
  position along a random direction, the further the more exaggerated.

The logit of the stop token is the speech ramp less the text length: long texts are spoken for longer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from chatterbox.models.t3 import T3
from chatterbox.models.t3.modules.t3_config import T3Config
from transformers import LlamaConfig, LlamaModel

from ._weights import fill, skip_random_init

if TYPE_CHECKING:
    from collections.abc import Mapping

    from transformers.models.llama.modeling_llama import LlamaAttention

    from ._profile import Profile

ANCHOR, SPEECH_RAMP, TEXT_RAMP, TEXT_END, TEXT_LENGTH, EXAGGERATION = range(6)
RESERVED_CHANNELS = 6

_ANCHOR_LEVEL = 16.0
_RAMP_PER_POSITION = 0.01
_LAST_SPEECH_TOKEN = 6560
_STOP_LOGIT_PER_TOKEN = 0.6


@dataclass(frozen=True)
class SpeakingRate:
    """How long the synthetic T3 speaks: a number of tokens, and more for every character of text."""

    tokens_per_character: float
    tokens_before_text: float


# A tiny model says little, for quick tests. One of real size speaks as fast as people and trained weights do, about
# 15 characters a second: how long its prompts are beside its utterances decides where its time goes.
_TINY_RATE = SpeakingRate(tokens_per_character=0.13, tokens_before_text=-12.0)
_REAL_RATE = SpeakingRate(tokens_per_character=0.85, tokens_before_text=-33.0)


def build_t3(profile: Profile | None, generator: torch.Generator) -> T3:
    """Return upstream's `T3` for English on the CPU; `profile=None` keeps upstream's real size."""
    sizes = {}
    if profile is not None:
        sizes = {"num_hidden_layers": profile.t3_layers, "intermediate_size": profile.t3_intermediate}
    t3 = random_llama_t3(T3Config.english_only(), sizes, generator)
    make_it_speak(t3, generator, _REAL_RATE if profile is None else _TINY_RATE, RESERVED_CHANNELS)
    return t3.eval()


def random_llama_t3(hp: T3Config, sizes: Mapping[str, int], generator: torch.Generator) -> T3:
    """Return a T3 with random weights; `sizes` are those settings of its LlamaConfig that are not upstream's own."""
    with skip_random_init():
        t3 = T3(hp)
        if sizes:
            t3.cfg = _smaller_backbone(t3.cfg, sizes)
            t3.tfmr = LlamaModel(t3.cfg)
    fill(t3, generator)
    return t3


@torch.no_grad()
def make_it_speak(t3: T3, generator: torch.Generator, rate: SpeakingRate, reserved: int) -> None:
    """Reserve the first `reserved` channels of the residual stream, and write what this module says about six."""
    _reserve_channels(t3, reserved)
    _listen(t3.tfmr.layers[0].self_attn, TEXT_END, TEXT_RAMP, _one_channel(t3, TEXT_LENGTH))
    _listen(t3.tfmr.layers[1].self_attn, EXAGGERATION, EXAGGERATION, _random_direction(t3, generator, reserved))
    _shape_speech_head(t3, rate, reserved)


def _smaller_backbone(config: LlamaConfig, sizes: Mapping[str, int]) -> LlamaConfig:
    settings: dict[str, Any] = {**config.to_dict(), **sizes}
    implementation = config._attn_implementation  # noqa: SLF001 - as upstream sets it
    return LlamaConfig(**settings, attn_implementation=implementation)


def _reserve_channels(t3: T3, reserved: int) -> None:
    """Take the reserved channels from every writer of the residual stream, then write them once."""
    for layer in t3.tfmr.layers:
        layer.self_attn.o_proj.weight[:reserved] = 0.0
        layer.mlp.down_proj.weight[:reserved] = 0.0
    for embedding in (t3.text_emb, t3.speech_emb, t3.text_pos_emb.emb, t3.speech_pos_emb.emb):
        embedding.weight[:, :reserved] = 0.0
    for position in (t3.text_pos_emb.emb, t3.speech_pos_emb.emb):
        position.weight[:, ANCHOR] = _ANCHOR_LEVEL
    t3.speech_pos_emb.emb.weight[:, SPEECH_RAMP] = _ramp(t3.speech_pos_emb.emb)
    t3.text_pos_emb.emb.weight[:, TEXT_RAMP] = _ramp(t3.text_pos_emb.emb)
    t3.text_emb.weight[t3.hp.stop_text_token, TEXT_END] = _ANCHOR_LEVEL
    t3.cond_enc.emotion_adv_fc.weight.zero_()
    t3.cond_enc.emotion_adv_fc.weight[EXAGGERATION] = _ANCHOR_LEVEL


def _ramp(embedding: torch.nn.Embedding) -> torch.Tensor:
    return torch.arange(embedding.num_embeddings) * _RAMP_PER_POSITION


def _listen(attention: LlamaAttention, key: int, value: int, direction: torch.Tensor) -> None:
    """Let head 0 attend to where channel `key` stands out, and add its channel `value` along `direction`."""
    width = attention.head_dim
    slowest = width // 2 - 1  # first of the rotary pair with the lowest frequency: it hardly turns
    for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
        projection.weight[:width] = 0.0
    attention.o_proj.weight[:, :width] = 0.0
    # The score where `key` stands out is above 15; it is zero elsewhere.
    attention.q_proj.weight[slowest, ANCHOR] = 0.5
    attention.k_proj.weight[slowest, key] = 4.0
    attention.v_proj.weight[0, value] = 1.0
    attention.o_proj.weight[:, 0] = direction


def _one_channel(t3: T3, channel: int) -> torch.Tensor:
    direction = torch.zeros(t3.dim)
    direction[channel] = 1.0
    return direction


def _random_direction(t3: T3, generator: torch.Generator, reserved: int) -> torch.Tensor:
    direction = torch.randn(t3.dim, generator=generator) * 0.1
    direction[:reserved] = 0.0
    return direction


def _shape_speech_head(t3: T3, rate: SpeakingRate, reserved: int) -> None:
    head = t3.speech_head.weight
    head.mul_(2.0)
    head[:, :reserved] = 0.0
    head[_LAST_SPEECH_TOKEN + 1 :] = 0.0
    head[_LAST_SPEECH_TOKEN + 1 :, ANCHOR] = -4.0
    stop = head[t3.hp.stop_speech_token]
    stop[SPEECH_RAMP] = _STOP_LOGIT_PER_TOKEN / _RAMP_PER_POSITION
    stop[TEXT_LENGTH] = -rate.tokens_per_character * _STOP_LOGIT_PER_TOKEN / _RAMP_PER_POSITION
    stop[ANCHOR] = -rate.tokens_before_text * _STOP_LOGIT_PER_TOKEN / _ANCHOR_LEVEL
