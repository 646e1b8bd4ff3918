"""The step of Turbo's backbone, GPT-2: absolute positions, layer norms, and queries, keys and values in one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    from ._batched_step import Rows


def gpt2_hidden(t3: T3, rows: Rows) -> torch.Tensor:
    """Read one token of every row; returns what the speech head reads, of shape (rows, width)."""
    hidden = t3.speech_emb(rows.tokens) + t3.tfmr.wpe(rows.lengths)
    for index, block in enumerate(t3.tfmr.h):
        hidden = _attend(block.attn, index, block.ln_1(hidden), rows) + hidden
        hidden = hidden + block.mlp(block.ln_2(hidden))
    normed: torch.Tensor = t3.tfmr.ln_f(hidden)
    return normed


def _attend(attention: GPT2Attention, layer: int, hidden: torch.Tensor, rows: Rows) -> torch.Tensor:
    """Return what every row takes from its own request's past, of shape (rows, width)."""
    heads = (hidden.size(0), attention.num_heads, 1, attention.head_dim)
    joint = attention.c_attn(hidden)
    queries, keys, values = (part.reshape(heads) for part in joint.split(attention.split_size, dim=1))
    attended = rows.attend(layer, queries, torch.stack((keys, values)), attention)
    mixed: torch.Tensor = attention.c_proj(attended.view(hidden.size(0), -1))
    return mixed
