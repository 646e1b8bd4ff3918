"""One decoding step for many requests at once.

Every dense layer maps the rows of all requests together, so its weights are read once. Attention runs for each
request over its own keys, with the shapes it has when the request is alone. Nothing but rows that do not see each
other is ever in one tensor.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3
    from transformers.models.llama.modeling_llama import LlamaAttention

    from ._kv_cache import KeyValueCache


@dataclass(frozen=True)
class Reading:
    """What one request brings to a step.

    Attributes:
        cache: the request's own keys and values; written to.
        rows: 2 with classifier-free guidance (conditional, unconditional), 1 without.
        token: the token drawn last, int64 of shape (1, 1).
        position: its position in the utterance, counted from 1.
    """

    cache: KeyValueCache
    rows: int
    token: torch.Tensor
    position: int


@dataclass(frozen=True)
class _Layout:
    """Which rows of the batch belong to whom; rows past the last owner are padding."""

    readings: Sequence[Reading]
    bounds: Sequence[tuple[int, int]]
    owners: torch.Tensor
    padded_rows: int


@torch.inference_mode()
def batched_step(t3: T3, readings: Sequence[Reading], padded_rows: int) -> list[torch.Tensor]:
    """Read one token of every request.

    Args:
        t3: shared; not written to.
        readings: at least one; their caches receive the token.
        padded_rows: rows to compute, at least those of the readings; the remainder is zeros.

    Returns:
        For each reading the logits, of shape (rows, vocabulary).
    """
    layout = _lay_out(readings, padded_rows)
    for reading in readings:
        reading.cache.reserve()
    hidden, rotary = _embed(t3, layout)
    for index, layer in enumerate(t3.tfmr.layers):
        hidden = hidden + _attend(layer.self_attn, index, layer.input_layernorm(hidden), rotary, layout)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    logits = t3.speech_head(t3.tfmr.norm(hidden))
    for reading in readings:
        reading.cache.advance()
    return [logits[begin:end] for begin, end in layout.bounds]


def _lay_out(readings: Sequence[Reading], padded_rows: int) -> _Layout:
    bounds = []
    end = 0
    for reading in readings:
        bounds.append((end, end + reading.rows))
        end += reading.rows
    owners = torch.repeat_interleave(torch.tensor([reading.rows for reading in readings]))
    return _Layout(readings, bounds, owners.to(readings[0].token.device), padded_rows)


def _embed(t3: T3, layout: _Layout) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return the padded rows of embedded tokens, and the rotary embedding of every row's position in its cache."""
    device = layout.owners.device
    tokens = torch.cat([reading.token for reading in layout.readings])
    positions = torch.tensor([[reading.position] for reading in layout.readings], device=device)
    embedded = t3.speech_emb(tokens) + t3.speech_pos_emb.emb(positions)
    hidden = _padded(embedded[:, 0][layout.owners], layout.padded_rows)
    lengths = torch.tensor([[reading.cache.length] for reading in layout.readings], device=device)
    cosine, sine = t3.tfmr.rotary_emb(embedded, lengths)
    rotary = (
        _padded(cosine[layout.owners], layout.padded_rows),
        _padded(sine[layout.owners], layout.padded_rows),
    )
    return hidden, rotary


def _attend(
    attention: LlamaAttention,
    layer: int,
    hidden: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    layout: _Layout,
) -> torch.Tensor:
    """Return what every row takes from its own request's past, of shape (padded rows, width)."""
    heads = (hidden.size(0), -1, 1, attention.head_dim)  # one token, so (rows, heads, 1, head_dim) is a view
    queries = attention.q_proj(hidden).view(heads)
    keys = attention.k_proj(hidden).view(heads)
    values = attention.v_proj(hidden).view(heads)
    queries, keys = apply_rotary_pos_emb(queries, keys, *rotary)
    keys_values = torch.stack((keys, values))
    attended = torch.zeros_like(queries)
    for reading, (begin, end) in zip(layout.readings, layout.bounds, strict=True):
        past_keys, past_values = reading.cache.put(layer, keys_values[:, begin:end])
        attended[begin:end] = functional.scaled_dot_product_attention(
            queries[begin:end], past_keys, past_values, scale=attention.scaling
        )
    mixed: torch.Tensor = attention.o_proj(attended.view(hidden.size(0), -1))
    return mixed


def _padded(rows: torch.Tensor, count: int) -> torch.Tensor:
    if rows.size(0) == count:
        return rows
    padded = rows.new_zeros((count, *rows.shape[1:]))
    padded[: rows.size(0)] = rows
    return padded
