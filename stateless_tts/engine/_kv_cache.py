"""The keys and values of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_BLOCK_TOKENS = 32


class KeyValueCache:
    """Keys and values of one request, for all layers, grown in blocks.

    A token is written in place; only when a block is full does a layer move to a larger buffer, one layer after the
    other, so that growing never needs a second copy of the whole cache.

    Args:
        layers: keys and values after the prompt, for each layer, each of shape (rows, heads, tokens, head_dim).
    """

    def __init__(self, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.length = layers[0][0].size(2)
        self._capacity = _blocks(self.length + 1)
        self._buffers = [_moved(torch.stack((keys, values)), self._capacity) for keys, values in layers]

    @property
    def nbytes(self) -> int:
        """Memory held, in bytes."""
        return sum(buffer.nbytes for buffer in self._buffers)

    def reserve(self) -> None:
        """Make room for one more token; where memory ran out half-way, it may simply be called again."""
        if self.length < self._capacity:
            return
        capacity = _blocks(self.length + 1)
        for layer, buffer in enumerate(self._buffers):
            if buffer.size(3) < capacity:  # not yet moved by a call that failed
                self._buffers[layer] = _moved(buffer[:, :, :, : self.length], capacity)
        self._capacity = capacity

    def put(self, layer: int, keys_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the next token's keys and values, and return all keys and all values of `layer`.

        The token counts only after `advance`: a step that failed half-way may simply be done again.

        Args:
            layer: index of the layer.
            keys_values: of shape (2, rows, heads, 1, head_dim).

        Returns:
            Two views of shape (rows, heads, tokens, head_dim).
        """
        buffer = self._buffers[layer]
        end = self.length + 1
        buffer[:, :, :, self.length : end] = keys_values
        return buffer[0, :, :, :end], buffer[1, :, :, :end]

    def advance(self) -> None:
        """Count the token that was put into every layer."""
        self.length += 1


def _moved(keys_values: torch.Tensor, capacity: int) -> torch.Tensor:
    two, rows, heads, tokens, head_dim = keys_values.shape
    buffer = keys_values.new_empty((two, rows, heads, capacity, head_dim))
    buffer[:, :, :, :tokens] = keys_values
    return buffer


def cache_bytes(rows: int, tokens: int, layers: int, width: int, dtype: torch.dtype) -> int:
    """Return the most memory that a cache of `tokens` tokens takes, in bytes; `width` is heads times head_dim."""
    return 2 * rows * _blocks(tokens + 1) * layers * width * dtype.itemsize


def _blocks(tokens: int) -> int:
    return -(-tokens // _BLOCK_TOKENS) * _BLOCK_TOKENS
