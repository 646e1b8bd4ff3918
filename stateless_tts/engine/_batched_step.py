"""One decoding step for many requests at once.

Every dense layer maps the rows of all requests together, so its weights are read once. Attention is each row's over its
own request's keys: here by torch's operation, with the shapes it has when the request is alone, in `_table_step` by a
kernel for all. Nothing but rows that do not see each other is ever in one tensor.

Here stand what all backbones share, and Llama's step; GPT-2's is in `_gpt2_step`.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch.nn import functional
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, eager_attention_forward

from ._gpt2_step import gpt2_hidden

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

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


class Rows(Protocol):
    """The rows of a step, each the next token of some request, and how they see their requests' pasts.

    Attributes:
        tokens: int64 of shape (rows,).
        positions: of each token in its utterance, counted from 1; int64 of shape (rows,).
        lengths: how many tokens its request's cache holds already; int64 of shape (rows,).
    """

    @property
    def tokens(self) -> torch.Tensor: ...
    @property
    def positions(self) -> torch.Tensor: ...
    @property
    def lengths(self) -> torch.Tensor: ...

    def attend(
        self, layer: int, queries: torch.Tensor, keys_values: torch.Tensor, attention: nn.Module
    ) -> torch.Tensor:
        """Put every row's keys and values into its request's cache, and let its query attend to all that is there.

        Args:
            layer: index of the layer.
            queries: of shape (rows, heads, 1, head_dim).
            keys_values: of shape (2, rows, heads, 1, head_dim).
            attention: the layer's.

        Returns:
            What each row attended to, of the shape of `queries`.
        """
        ...


@dataclass(frozen=True)
class _OwnedRows:
    """Rows that belong to readings, and rows of padding after them; each request attends by torch's own operation."""

    tokens: torch.Tensor
    positions: torch.Tensor
    lengths: torch.Tensor
    readings: Sequence[Reading]
    bounds: Sequence[tuple[int, int]]

    def attend(
        self, layer: int, queries: torch.Tensor, keys_values: torch.Tensor, attention: nn.Module
    ) -> torch.Tensor:
        """As `Rows` says; where there is padding, zeros."""
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
        padded_rows: rows to compute, at least those of the readings.

    Returns:
        For each reading the logits, of shape (rows, vocabulary).
    """
    return step_by(lambda rows: logits_of(t3, rows), readings, padded_rows)


def step_by(
    logits_of_rows: Callable[[Rows], torch.Tensor], readings: Sequence[Reading], padded_rows: int
) -> list[torch.Tensor]:
    """Take a step as `batched_step` does, the logits of all rows being what is returned for them."""
    rows = _owned_rows(readings, padded_rows)
    for reading in readings:
        reading.cache.reserve()
    logits = logits_of_rows(rows)
    for reading in readings:
        reading.cache.advance()
    return [logits[begin:end] for begin, end in rows.bounds]


def bounds_of(readings: Sequence[Reading]) -> list[tuple[int, int]]:
    """Return each reading's first row and the one after its last, as they follow each other in a step."""
    ends = list(itertools.accumulate(reading.rows for reading in readings))
    return [(end - reading.rows, end) for reading, end in zip(readings, ends, strict=True)]


def logits_of(t3: T3, rows: Rows) -> torch.Tensor:
    """Return the logits of every row, of shape (rows, vocabulary)."""
    logits: torch.Tensor = t3.speech_head(gpt2_hidden(t3, rows) if t3.is_gpt else _llama_hidden(t3, rows))
    return logits


def _owned_rows(readings: Sequence[Reading], padded_rows: int) -> _OwnedRows:
    device = readings[0].token.device
    owners = torch.repeat_interleave(torch.tensor([reading.rows for reading in readings]))
    padding = padded_rows - owners.numel()

    def of_rows(of_readings: torch.Tensor) -> torch.Tensor:
        return functional.pad(of_readings[owners.to(of_readings.device)], (0, padding))

    return _OwnedRows(
        of_rows(torch.cat([reading.token[0] for reading in readings])),
        of_rows(torch.tensor([reading.position for reading in readings])).to(device),
        of_rows(torch.tensor([reading.cache.length for reading in readings])).to(device),
        readings,
        bounds_of(readings),
    )


def _llama_hidden(t3: T3, rows: Rows) -> torch.Tensor:
    """Return what the speech head reads, of shape (rows, width)."""
    hidden = t3.speech_emb(rows.tokens) + t3.speech_pos_emb.emb(rows.positions)
    rotary = t3.tfmr.rotary_emb(hidden, rows.lengths[:, None])
    for index, layer in enumerate(t3.tfmr.layers):
        hidden = hidden + _attend(layer.self_attn, index, layer.input_layernorm(hidden), rotary, rows)
        hidden = hidden + layer.mlp(layer.post_attention_layernorm(hidden))
    normed: torch.Tensor = t3.tfmr.norm(hidden)
    return normed


def _attend(
    attention: LlamaAttention,
    layer: int,
    hidden: torch.Tensor,
    rotary: tuple[torch.Tensor, torch.Tensor],
    rows: Rows,
) -> torch.Tensor:
    """Return what every row takes from its own request's past, of shape (rows, width)."""
    heads = (hidden.size(0), -1, 1, attention.head_dim)  # one token, so (rows, heads, 1, head_dim) is a view
    queries = attention.q_proj(hidden).view(heads)
    keys = attention.k_proj(hidden).view(heads)
    values = attention.v_proj(hidden).view(heads)
    queries, keys = apply_rotary_pos_emb(queries, keys, *rotary)
    attended = rows.attend(layer, queries, torch.stack((keys, values)), attention)
    mixed: torch.Tensor = attention.o_proj(attended.view(hidden.size(0), -1))
    return mixed
