"""The keys and values of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch

from ._huge_pages import keep_off_huge_pages

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_BLOCK_TOKENS = 32
# On the CPU, address space for this many tokens is taken at a time. Memory is given to it page by page, as tokens
# are written: a page holds 16 tokens of a head in float32 and 32 in bfloat16.
_RESERVED_TOKENS = 256
# C libraries map allocations of this size anew, untouched, and give them back whole; smaller ones come out of a heap
# that never shrinks where one request's growth has left holes between others' buffers.
_MAPPED_BYTES = 33 * 2**20


class Layers(Protocol):
    """Keys and values for each layer, of which one at a time is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, layer: int, /) -> tuple[torch.Tensor, torch.Tensor]: ...


class KeyValueCache:
    """Keys and values of one request, for all layers.

    A token is written in place. Only when the space that was taken is full do the layers move to a larger one, some
    after the others, so that growing never needs a second copy of the whole cache.

    Args:
        layers: keys and values after the prompt, for each layer, each of shape (rows, heads, tokens, head_dim).
    """

    def __init__(self, layers: Layers) -> None:
        first = layers[0][0]
        self.length = first.size(2)
        self._step = _RESERVED_TOKENS if first.device.type == "cpu" else _BLOCK_TOKENS
        self._capacity = _rounded_up(self.length + 1, self._step)
        # Each of shape (layers, 2, rows, heads, capacity, head_dim), for some layers after the others.
        self._buffers = [
            _moved([layers[layer] for layer in group], self._capacity)
            for group in _groups(len(layers), 2 * first[:, :, 0].numel() * self._capacity * first.itemsize)
        ]
        self._addresses: npt.NDArray[np.int64] | None = None
        self._places: list[torch.Tensor] = []
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    @property
    def capacity(self) -> int:
        """Tokens that there is room for."""
        return self._capacity

    @property
    def nbytes(self) -> int:
        """Memory written to, in bytes, to the last block."""
        written = min(_rounded_up(self.length, _BLOCK_TOKENS), self._capacity)
        return sum(buffer.nbytes // self._capacity * written for buffer in self._buffers)

    def past(self) -> torch.Tensor:
        """Return a copy of all keys and values, of shape (layers, 2, rows, heads, tokens, head_dim)."""
        return torch.cat([buffer[..., : self.length, :] for buffer in self._buffers])

    def reserve(self) -> None:
        """Make room for one more token and `put`; where memory ran out half-way, it may simply be called again."""
        self.make_room()
        end = self.length + 1
        # Made for all layers at once: a step asks for them layer by layer, and is short.
        self._places = [place for buffer in self._buffers for place in buffer[..., self.length : end, :].unbind()]
        self._keys = [keys for buffer in self._buffers for keys in buffer[:, 0, ..., :end, :].unbind()]
        self._values = [values for buffer in self._buffers for values in buffer[:, 1, ..., :end, :].unbind()]

    def make_room(self) -> None:
        """Make room for one more token, for a kernel that writes it where `addresses` say; it may be called again."""
        if self.length >= self._capacity:
            self._grow()

    def addresses(self) -> npt.NDArray[np.int64]:
        """Return where each layer has each row's keys: of shape (layers, rows), valid until there is room for more.

        A row's values are as far behind its keys as all keys of a layer take: rows times heads times `capacity` times
        head_dim elements.
        """
        if self._addresses is None:
            places = [keys_values[0] for buffer in self._buffers for keys_values in buffer]
            firsts = np.array([[keys.data_ptr()] for keys in places], dtype=np.int64)
            rows, row_bytes = places[0].size(0), places[0].stride(0) * places[0].itemsize
            self._addresses = firsts + np.arange(rows, dtype=np.int64) * row_bytes
        return self._addresses

    def _grow(self) -> None:
        self._places, self._keys, self._values = [], [], []  # they hold on to the buffers
        self._addresses = None
        capacity = _rounded_up(self.length + 1, self._step)
        for place, buffer in enumerate(self._buffers):
            if buffer.size(-2) < capacity:  # not yet moved by a call that failed
                self._buffers[place] = _enlarged(buffer, self.length, capacity)
            del buffer
        self._capacity = capacity

    def put(self, layer: int, keys_values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the next token's keys and values, and return all keys and all values of `layer`.

        Room must have been made. The token counts only after `advance`: a step that failed half-way may simply be
        done again.

        Args:
            layer: index of the layer.
            keys_values: of shape (2, rows, heads, 1, head_dim).

        Returns:
            Two views of shape (rows, heads, tokens, head_dim).
        """
        self._places[layer].copy_(keys_values)
        return self._keys[layer], self._values[layer]

    def advance(self) -> None:
        """Count the token that was put into every layer."""
        self.length += 1


def _moved(layers: Sequence[tuple[torch.Tensor, torch.Tensor]], capacity: int) -> torch.Tensor:
    """Return a buffer of shape (layers, 2, rows, heads, capacity, head_dim) that begins with the layers' past."""
    keys = layers[0][0]
    rows, heads, tokens, head_dim = keys.shape
    buffer = _empty(keys, (len(layers), 2, rows, heads, capacity, head_dim))
    for of_layer, (keys, values) in zip(buffer, layers, strict=True):
        of_layer[0, :, :, :tokens] = keys
        of_layer[1, :, :, :tokens] = values
    return buffer


def _enlarged(buffer: torch.Tensor, tokens: int, capacity: int) -> torch.Tensor:
    """Return a buffer with room for `capacity` tokens that begins with the first `tokens` of `buffer`."""
    larger = _empty(buffer, (*buffer.shape[:-2], capacity, buffer.size(-1)))
    larger[..., :tokens, :] = buffer[..., :tokens, :]
    return larger


def _empty(like: torch.Tensor, shape: tuple[int, ...]) -> torch.Tensor:
    buffer = like.new_empty(shape)
    if buffer.device.type == "cpu" and buffer.nbytes >= _MAPPED_BYTES:
        keep_off_huge_pages(buffer.data_ptr(), buffer.nbytes)
    return buffer


def _groups(layers: int, bytes_of_layer: int) -> list[range]:
    """Split the layers into groups that are large enough to be mapped, if all of them are."""
    size = min(layers, max(1, -(-_MAPPED_BYTES // bytes_of_layer)))
    begins = range(0, max(1, layers - size + 1), size)
    return [range(begin, layers if begin == begins[-1] else begin + size) for begin in begins]


def cache_bytes(rows: int, tokens: int, layers: int, width: int, dtype: torch.dtype) -> int:
    """Return the most memory that a cache of `tokens` tokens takes, in bytes; `width` is heads times head_dim."""
    return 2 * rows * _rounded_up(tokens + 1, _BLOCK_TOKENS) * layers * width * dtype.itemsize


def _rounded_up(tokens: int, step: int) -> int:
    return -(-tokens // step) * step
