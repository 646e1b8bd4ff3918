"""A decoding step whose rows attend in one kernel, over a table that says where each finds its past.

The kernel is one of the engine's own: for a CPU `chains`, for a GPU `cuda_graphs`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from ._backbone import backbone_of
from ._batched_step import bounds_of, logits_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.models.t3 import T3
    from torch import nn

    from ._batched_step import Reading

    Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Sequence[torch.Tensor], float], torch.Tensor]

PADDING = -1
"""The length of the past of a row that belongs to nobody."""
# Lines of the table before each layer's addresses.
_OWNERS, _POSITIONS, _LENGTHS, _CAPACITIES, _VALUES_BEHIND = range(5)
_FIRST_ADDRESSES = 5


class RowTable:
    """`Rows` that are looked up in a table, written anew before each step: one copy where the rows are on a GPU.

    Args:
        t3: whose step it is.
        rows: the most there are.
        attend: given queries, keys and values as `Rows.attend` is, puts these into the caches and attends to all that
            is there. It is told, for each row, where it has the layer's keys, as `KeyValueCache.addresses` says; how
            many elements its values are behind them, its cache's capacity in tokens, and how many tokens are there
            already, or `PADDING`, which comes last: each int64 of shape (rows,); and what scores are multiplied with.
    """

    def __init__(self, t3: T3, rows: int, attend: Attend) -> None:
        self._backbone = backbone_of(t3)
        self._attend = attend
        self._count = rows
        device = t3.speech_emb.weight.device
        self._host = np.zeros((_FIRST_ADDRESSES + self._backbone.layers, rows), dtype=np.int64)
        self._host[_LENGTHS] = PADDING
        self._table = torch.from_numpy(self._host).to(device)
        self._drawn = torch.zeros(rows, dtype=torch.long, device=device)  # of each reading

    def write(self, readings: Sequence[Reading], count: int) -> None:
        """Take in what each reading brings, of whose caches each has room; rows up to `count` are padding."""
        table, bounds = self._host, bounds_of(readings)
        for number, (reading, (begin, end)) in enumerate(zip(readings, bounds, strict=True)):
            cache, rows = reading.cache, slice(begin, end)
            table[_OWNERS, rows] = number
            table[_POSITIONS, rows] = reading.position
            table[_LENGTHS, rows] = cache.length
            table[_CAPACITIES, rows] = cache.capacity
            table[_VALUES_BEHIND, rows] = reading.rows * self._backbone.heads * cache.capacity * self._backbone.head_dim
            table[_FIRST_ADDRESSES:, rows] = cache.addresses()
        table[_LENGTHS, bounds[-1][1] :] = PADDING
        if self._table.device.type != "cpu":
            self._table.copy_(torch.from_numpy(table))
        self._drawn[: len(readings)] = torch.cat([reading.token[0] for reading in readings])
        self._count = count

    @property
    def tokens(self) -> torch.Tensor:
        """As `Rows` says."""
        return self._drawn[self._line(_OWNERS)]

    @property
    def positions(self) -> torch.Tensor:
        """As `Rows` says."""
        return self._line(_POSITIONS)

    @property
    def lengths(self) -> torch.Tensor:
        """As `Rows` says."""
        return self._line(_LENGTHS).clamp(min=0)

    def attend(
        self, layer: int, queries: torch.Tensor, keys_values: torch.Tensor, attention: nn.Module
    ) -> torch.Tensor:
        """As `Rows` says; where there is padding, zeros."""
        scale = getattr(attention, "scaling", None) or queries.size(-1) ** -0.5
        pasts = (self._line(_VALUES_BEHIND), self._line(_CAPACITIES), self._line(_LENGTHS))
        return self._attend(queries, keys_values, self._line(_FIRST_ADDRESSES + layer), pasts, scale)

    @property
    def line_bytes(self) -> int:
        """From where one layer's addresses lie to where the next one's do."""
        return self._host.strides[0]

    def told(self) -> dict[str, int]:
        """Return what a kernel on the CPU is told of a step's rows.

        Where the first layer's addresses lie; how far values are behind their keys, capacities and lengths; how many
        rows are somebody's; and the greatest length of all.
        """
        lengths = self._host[_LENGTHS, : self._count]
        lines = {
            "places": _FIRST_ADDRESSES,
            "behind": _VALUES_BEHIND,
            "capacities": _CAPACITIES,
            "lengths": _LENGTHS,
        }
        told = {name: self._table[line].data_ptr() for name, line in lines.items()}
        return {**told, "own_rows": int((lengths != PADDING).sum()), "longest": int(lengths.max())}

    def _line(self, number: int) -> torch.Tensor:
        return self._table[number, : self._count]


class TableStep:
    """Takes steps as `batched_step` does. One thread calls.

    Args:
        t3: shared; not written to.
        rows: the most a step may have.
        attend: as `RowTable` wants it.
        padded: how many rows to compute so many with.
    """

    def __init__(self, t3: T3, rows: int, attend: Attend, padded: Callable[[int], int]) -> None:
        self._t3 = t3
        self._padded = padded
        self._table = RowTable(t3, rows, attend)

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading]) -> list[torch.Tensor]:
        """Read one token of every request, at least one; their caches receive it.

        Returns:
            For each reading the logits, of shape (rows, vocabulary).
        """
        for reading in readings:
            assert reading.watch is None, "nobody sees the attention of such a step"
            reading.cache.make_room()
        self._table.write(readings, self._padded(sum(reading.rows for reading in readings)))
        logits = self._logits()
        for reading in readings:
            reading.cache.advance()
        return [logits[begin:end] for begin, end in bounds_of(readings)]

    def _logits(self) -> torch.Tensor:
        return logits_of(self._t3, self._table)
