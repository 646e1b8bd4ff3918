"""A decoding step, recorded once for all the rows that a batch may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from stateless_tts.engine._backbone import backbone_of
from stateless_tts.engine._batched_step import bounds_of, logits_of

from ._recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3
    from torch import nn

    from stateless_tts.engine._batched_step import Reading

_PADDING = -1
# Rows of the table before each layer's addresses.
_OWNERS, _POSITIONS, _LENGTHS, _CAPACITIES, _VALUES_BEHIND = range(5)
_FIRST_ADDRESSES = 5


class _Table:
    """What the recorded kernels look up, written anew before each step: one copy to the GPU.

    Implements `Rows` over it.
    """

    def __init__(self, t3: T3, rows: int) -> None:
        self._heads = backbone_of(t3)
        device = t3.speech_emb.weight.device
        self._host = np.zeros((_FIRST_ADDRESSES + self._heads.layers, rows), dtype=np.int64)
        self._host[_LENGTHS] = _PADDING
        self._device = torch.from_numpy(self._host).to(device)
        self._drawn = torch.zeros(rows, dtype=torch.long, device=device)  # of each reading

    @property
    def tokens(self) -> torch.Tensor:
        return self._drawn[self._device[_OWNERS]]

    @property
    def positions(self) -> torch.Tensor:
        return self._device[_POSITIONS]

    @property
    def lengths(self) -> torch.Tensor:
        return self._device[_LENGTHS].clamp(min=0)

    def write(self, readings: Sequence[Reading]) -> None:
        """Take in what each reading brings."""
        table = self._host
        for number, (reading, (begin, end)) in enumerate(zip(readings, bounds_of(readings), strict=True)):
            cache, rows = reading.cache, slice(begin, end)
            table[_OWNERS, rows] = number
            table[_POSITIONS, rows] = reading.position
            table[_LENGTHS, rows] = cache.length
            table[_CAPACITIES, rows] = cache.capacity
            table[_VALUES_BEHIND, rows] = reading.rows * self._heads.heads * cache.capacity * self._heads.head_dim
            table[_FIRST_ADDRESSES:, rows] = cache.addresses()
        table[_LENGTHS, bounds_of(readings)[-1][1] :] = _PADDING
        self._device.copy_(torch.from_numpy(table))
        self._drawn[: len(readings)] = torch.cat([reading.token[0] for reading in readings])

    def attend(
        self, layer: int, queries: torch.Tensor, keys_values: torch.Tensor, attention: nn.Module
    ) -> torch.Tensor:
        from ._attention import attend  # noqa: PLC0415 - imports Triton

        scale = getattr(attention, "scaling", None) or queries.size(-1) ** -0.5
        pasts = (self._device[_VALUES_BEHIND], self._device[_CAPACITIES], self._device[_LENGTHS])
        return attend(queries, keys_values, self._device[_FIRST_ADDRESSES + layer], pasts, scale)


class RecordedStep:
    """Takes steps as `batched_step` does, but always with the same number of rows, and attends in a kernel of its own.

    On a CUDA device the step is recorded when this is made, and played back by each call; elsewhere (under Triton's
    interpreter) each call computes it. One thread calls.

    Args:
        t3: shared; not written to.
        rows: that every step is computed with, most of them padding if few requests speak.
    """

    @torch.inference_mode()
    def __init__(self, t3: T3, rows: int) -> None:
        self._t3 = t3
        self._table = _Table(t3, rows)
        self._graph: torch.cuda.CUDAGraph | None = None
        device = t3.speech_emb.weight.device
        if device.type == "cuda":
            self._record(device)

    def _record(self, device: torch.device) -> None:
        with torch.cuda.device(device):  # Triton launches on the current one
            logits_of(self._t3, self._table)  # all padding; Triton compiles, and libraries set themselves up
            self._recorder = Recorder(device)
            graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call] # by torch
            with self._recorder.recording(graph):
                self._logits = logits_of(self._t3, self._table)
            self._graph = graph

    @torch.inference_mode()
    def __call__(self, readings: Sequence[Reading]) -> list[torch.Tensor]:
        """Read one token of every request, at least one; their caches receive it.

        Returns:
            For each reading the logits, of shape (rows, vocabulary).
        """
        for reading in readings:
            reading.cache.make_room()
        self._table.write(readings)
        if self._graph is None:
            logits = logits_of(self._t3, self._table)
        else:
            self._graph.replay()  # type: ignore[no-untyped-call] # by torch
            logits = self._logits.clone()  # the next step overwrites them
        for reading in readings:
            reading.cache.advance()
        return [logits[begin:end] for begin, end in bounds_of(readings)]
