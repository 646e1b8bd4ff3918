"""Attention of a step's rows in one kernel: each row's query over the keys of its own request, wherever these lie.

What a row gets depends on its own query, keys and values alone: one program computes it, block by block of its own
tokens, with the running softmax of Milakov and Gimelshein (2018) in float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOKENS_AT_A_TIME = 64


@triton.jit  # type: ignore[untyped-decorator] # Triton has no types
def _attend(
    queries: tl.tensor,
    keys: tl.tensor,
    values: tl.tensor,
    attended: tl.tensor,
    addresses: tl.tensor,
    values_behind: tl.tensor,
    capacities: tl.tensor,
    lengths: tl.tensor,
    scale: tl.tensor,
    HEADS: tl.constexpr,  # noqa: N803 - Triton's custom for what a kernel is compiled for
    HEAD_DIM: tl.constexpr,  # noqa: N803 - the same
    BLOCK: tl.constexpr,  # noqa: N803 - the same
) -> None:
    """Write one head of one row's key and value into its cache, and attend to all that is there."""
    row = tl.program_id(0)
    head = tl.program_id(1)
    length = tl.load(lengths + row)
    dims = tl.arange(0, HEAD_DIM)
    own = (row * HEADS + head) * HEAD_DIM + dims
    if length < 0:
        tl.store(attended + own, tl.zeros([HEAD_DIM], attended.dtype.element_ty))
    else:
        first = tl.load(addresses + row).to(tl.pointer_type(queries.dtype.element_ty))
        past_keys = first + head * tl.load(capacities + row) * HEAD_DIM
        past_values = past_keys + tl.load(values_behind + row)
        query = tl.load(queries + own).to(tl.float32) * scale
        key = tl.load(keys + own)
        value = tl.load(values + own)
        tl.store(past_keys + length * HEAD_DIM + dims, key)
        tl.store(past_values + length * HEAD_DIM + dims, value)
        largest = tl.sum(query * key.to(tl.float32), axis=0)
        total = largest * 0.0 + 1.0
        result = value.to(tl.float32)
        for begin in range(0, length, BLOCK):
            tokens = begin + tl.arange(0, BLOCK)
            there = tokens < length
            places = tokens[:, None] * HEAD_DIM + dims[None, :]
            block = tl.load(past_keys + places, mask=there[:, None], other=0.0).to(tl.float32)
            scores = tl.where(there, tl.sum(query[None, :] * block, axis=1), float("-inf"))
            above = tl.maximum(largest, tl.max(scores, axis=0))
            weights = tl.exp(scores - above)
            before = tl.exp(largest - above)
            block = tl.load(past_values + places, mask=there[:, None], other=0.0).to(tl.float32)
            result = result * before + tl.sum(weights[:, None] * block, axis=0)
            total = total * before + tl.sum(weights, axis=0)
            largest = above
        tl.store(attended + own, (result / total).to(attended.dtype.element_ty))


def attend(
    queries: torch.Tensor,
    keys_values: torch.Tensor,
    addresses: torch.Tensor,
    pasts: Sequence[torch.Tensor],
    scale: float,
) -> torch.Tensor:
    """Put every row's key and value into its cache, and return what its query attends to; zeros for padding.

    Args:
        queries: of shape (rows, heads, 1, head_dim); head_dim is a power of two.
        keys_values: of shape (2, rows, heads, 1, head_dim).
        addresses: as `RowTable` tells whoever attends.
        pasts: the same.
        scale: the same.
    """
    rows, heads, _, head_dim = queries.shape
    queries = queries.contiguous()
    keys, values = keys_values.contiguous()
    attended = torch.empty_like(queries)
    _attend[rows, heads](
        queries,
        keys,
        values,
        attended,
        addresses,
        *pasts,
        scale,
        HEADS=heads,
        HEAD_DIM=head_dim,
        BLOCK=_TOKENS_AT_A_TIME,
    )
    return attended
