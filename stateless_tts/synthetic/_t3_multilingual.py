"""A multilingual T3 that follows its text, so that upstream's alignment analyser has something to analyse.

On top of the reserved channels of `_t3`, text and speech positions carry sines and cosines of their position. The three
heads that the analyser watches multiply them: the score of a text position falls with its distance from the number
of tokens spoken so far. So attention moves along the text, one text token for every speech token; the analyser holds
the stop token back until the text is spoken, and forces it when the voice lingers on the end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.t3.inference.alignment_stream_analyzer import LLAMA_ALIGNED_HEADS
from chatterbox.models.t3.modules.t3_config import T3Config

from ._t3 import RESERVED_CHANNELS, SpeakingRate, make_it_speak, random_llama_t3

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaAttention

    from ._profile import Profile

_RATE = SpeakingRate(tokens_per_character=0.6, tokens_before_text=-70.0)
# Radians per position: the first tells neighbours apart, the last tells the ends of a long text apart.
_FREQUENCIES = (0.6, 0.13, 0.02)
_TEXT_WAVES = RESERVED_CHANNELS
_SPEECH_WAVES = _TEXT_WAVES + 2 * len(_FREQUENCIES)
_RESERVED = _SPEECH_WAVES + 2 * len(_FREQUENCIES)
_WAVE_LEVEL = 4.0
_ALIGNMENT_WEIGHT = 2.5


def build_multilingual_t3(profile: Profile | None, generator: torch.Generator) -> T3:
    """Return upstream's multilingual `T3` on the CPU; `profile=None` keeps upstream's real size."""
    sizes = {}
    if profile is not None:
        sizes = {
            "num_hidden_layers": profile.multilingual_layers,
            "intermediate_size": profile.multilingual_intermediate,
            "head_dim": profile.multilingual_head_dim,
        }
    t3 = random_llama_t3(T3Config.multilingual(), sizes, generator)
    with torch.no_grad():
        _calm(t3)
        make_it_speak(t3, generator, _RATE, _RESERVED)
        t3.text_pos_emb.emb.weight[:, _TEXT_WAVES:_SPEECH_WAVES] = _waves(t3.text_pos_emb.emb)
        t3.speech_pos_emb.emb.weight[:, _SPEECH_WAVES:_RESERVED] = _waves(t3.speech_pos_emb.emb)
        for layer, head in LLAMA_ALIGNED_HEADS:
            _follow_the_text(t3.tfmr.layers[layer].self_attn, head)
    return t3.eval()


def _calm(t3: T3) -> None:
    """Let each of many layers add little, so that what the reserved channels say is still heard by the last."""
    share = len(t3.tfmr.layers) ** -0.5
    for layer in t3.tfmr.layers:
        layer.self_attn.o_proj.weight.mul_(share)
        layer.mlp.down_proj.weight.mul_(share)


def _waves(embedding: torch.nn.Embedding) -> torch.Tensor:
    positions = torch.arange(embedding.num_embeddings)[:, None]
    angles = positions * torch.tensor(_FREQUENCIES)
    return _WAVE_LEVEL * torch.cat([angles.cos(), angles.sin()], dim=1)


def _follow_the_text(attention: LlamaAttention, head: int) -> None:
    """Let `head` attend, at each speech position, to the text position of the same number."""
    width = attention.head_dim
    begin = head * width
    for projection in (attention.q_proj, attention.k_proj):
        projection.weight[begin : begin + width] = 0.0
    for wave in range(2 * len(_FREQUENCIES)):
        pair, second = divmod(wave, 2)
        row = begin + width // 2 - 1 - pair + second * width // 2  # the rotary pairs that hardly turn
        attention.q_proj.weight[row, _SPEECH_WAVES + wave] = _ALIGNMENT_WEIGHT
        attention.k_proj.weight[row, _TEXT_WAVES + wave] = _ALIGNMENT_WEIGHT
