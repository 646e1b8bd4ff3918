"""The step of Turbo's backbone, GPT-2: absolute positions, layer norms, and queries, keys and values in one product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3
    from transformers.models.gpt2.modeling_gpt2 import GPT2Attention

    from ._batched_step import Layout


def gpt2_hidden(t3: T3, layout: Layout) -> torch.Tensor:
    """Read one token of every request; returns what the speech head reads, of shape (padded rows, width)."""
    hidden = _embed(t3, layout)
    for index, block in enumerate(t3.tfmr.h):
        hidden = _attend(block.attn, index, block.ln_1(hidden), layout) + hidden
        hidden = hidden + block.mlp(block.ln_2(hidden))
    normed: torch.Tensor = t3.tfmr.ln_f(hidden)
    return normed


def _embed(t3: T3, layout: Layout) -> torch.Tensor:
    """Return the padded rows of embedded tokens, each at its position in its request's cache."""
    tokens = torch.cat([reading.token for reading in layout.readings])
    lengths = torch.tensor([[reading.cache.length] for reading in layout.readings], device=tokens.device)
    embedded = t3.speech_emb(tokens) + t3.tfmr.wpe(lengths)
    return layout.padded(embedded[:, 0][layout.owners])


def _attend(attention: GPT2Attention, layer: int, hidden: torch.Tensor, layout: Layout) -> torch.Tensor:
    """Return what every row takes from its own request's past, of shape (padded rows, width)."""
    heads = (hidden.size(0), attention.num_heads, 1, attention.head_dim)
    joint = attention.c_attn(hidden)
    queries, keys, values = (part.reshape(heads) for part in joint.split(attention.split_size, dim=1))
    attended = layout.attend(layer, queries, torch.stack((keys, values)), attention)
    mixed: torch.Tensor = attention.c_proj(attended.view(hidden.size(0), -1))
    return mixed
