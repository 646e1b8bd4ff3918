"""One decoding step for many requests at once.

Every dense layer maps the rows of all requests together, so its weights are read once. Attention runs for each
request over its own keys, with the shapes it has when the request is alone. Nothing but rows that do not see each
other is ever in one tensor.

Here stand what all backbones share, and Llama's step; GPT-2's is in `_gpt2_step`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward

from ._gpt2_step import gpt2_hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3
    from torch import nn
    from transformers.models.llama.modeling_llama import LlamaAttention

    from stateless_tts.families import AttentionWatch

    from ._kv_cache import KeyValueCache


@dataclass(frozen=True)
class Reading:
    """What one request brings to a step.

    Attributes:
        cache: the request's own keys and values; written to.
        rows: 2 with classifier-free guidance (conditional, unconditional), 1 without.
        token: the token drawn last, int64 of shape (1, 1).
        position: its position in the utterance, counted from 1.
        watch: whom to show the attention of this request's rows; they attend eagerly then.
    """

    cache: KeyValueCache
    rows: int
    token: torch.Tensor
    position: int
    watch: AttentionWatch | None = None


@dataclass(frozen=True)
class Layout:
    """Which rows of the batch belong to whom; rows past the last owner are padding."""

    readings: Sequence[Reading]
    bounds: Sequence[tuple[int, int]]
    owners: torch.Tensor
    padded_rows: int

    def padded(self, rows: torch.Tensor) -> torch.Tensor:
        """Return `rows`, and zeros up to the padded count."""
        if rows.size(0) == self.padded_rows:
            return rows
        padded = rows.new_zeros((self.padded_rows, *rows.shape[1:]))
        padded[: rows.size(0)] = rows
        return padded

    def attend(
        self, layer: int, queries: torch.Tensor, keys_values: torch.Tensor, attention: nn.Module
    ) -> torch.Tensor:
        """Put every request's keys and values into its cache, and let its queries attend to all that is there.

        Args:
            layer: index of the layer.
            queries: of shape (padded rows, heads, 1, head_dim).
            keys_values: of shape (2, padded rows, heads, 1, head_dim).
            attention: the layer's.

        Returns:
            What each row attended to, of the shape of `queries`; zeros where there is padding.
        """
        attended = torch.zeros_like(queries)
        for reading, (begin, end) in zip(self.readings, self.bounds, strict=True):
            keys, values = reading.cache.put(layer, keys_values[:, begin:end])
            own = queries[begin:end]
            if reading.watch is None:
                scale = getattr(attention, "scaling", None)  # GPT-2 names none: it is torch's own
                attended[begin:end] = functional.scaled_dot_product_attention(own, keys, values, scale=scale)
            else:
                seen, weights = eager_attention_forward(attention, own, keys, values, None, attention.scaling)
                attended[begin:end] = seen.transpose(1, 2)
                reading.watch.see(layer, weights)
        return attended


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
    logits = t3.speech_head(gpt2_hidden(t3, layout) if t3.is_gpt else _llama_hidden(t3, layout))
    for reading in readings:
        reading.cache.advance()
    return [logits[begin:end] for begin, end in layout.bounds]


def _lay_out(readings: Sequence[Reading], padded_rows: int) -> Layout:
    bounds = []
    end = 0
    for reading in readings:
        bounds.append((end, end + reading.rows))
        end += reading.rows
    owners = torch.repeat_interleave(torch.tensor([reading.rows for reading in readings]))
    return Layout(readings, bounds, owners.to(readings[0].token.device), padded_rows)


def _llama_hidden(t3: T3, layout: Layout) -> torch.Tensor:
    """Return what the speech head reads, of shape (padded rows, width)."""
    hidden, rotary = _embed(t3, layout)
    for index, layer in enumerate(t3.tfmr.layers):
        hidden = hidden + _attend(layer.self_attn, index, layer.input_layernorm(hidden), rotary, layout)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    normed: torch.Tensor = t3.tfmr.norm(hidden)
    return normed


def _embed(t3: T3, layout: Layout) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
    """Return the padded rows of embedded tokens, and the rotary embedding of every row's position in its cache."""
    device = layout.owners.device
    tokens = torch.cat([reading.token for reading in layout.readings])
    positions = torch.tensor([[reading.position] for reading in layout.readings], device=device)
    embedded = t3.speech_emb(tokens) + t3.speech_pos_emb.emb(positions)
    hidden = layout.padded(embedded[:, 0][layout.owners])
    lengths = torch.tensor([[reading.cache.length] for reading in layout.readings], device=device)
    cosine, sine = t3.tfmr.rotary_emb(embedded, lengths)
    return hidden, (layout.padded(cosine[layout.owners]), layout.padded(sine[layout.owners]))


def _attend(
    attention: LlamaAttention,
    layer: int,
    hidden: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    layout: Layout,
) -> torch.Tensor:
    """Return what every row takes from its own request's past, of shape (padded rows, width)."""
    heads = (hidden.size(0), -1, 1, attention.head_dim)  # one token, so (rows, heads, 1, head_dim) is a view
    queries = attention.q_proj(hidden).view(heads)
    keys = attention.k_proj(hidden).view(heads)
    values = attention.v_proj(hidden).view(heads)
    queries, keys = apply_rotary_pos_emb(queries, keys, *rotary)
    attended = layout.attend(layer, queries, torch.stack((keys, values)), attention)
    mixed: torch.Tensor = attention.o_proj(attended.view(hidden.size(0), -1))
    return mixed
