"""A decoding step, recorded once for all the rows that a batch may have."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._table_step import TableStep

from ._recording import Recorder, play

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3


class RecordedStep(TableStep):
    """Takes steps as `batched_step` does, but always with the same number of rows.

    On a CUDA device the step is recorded when this is made, and played back by each call; elsewhere (under Triton's
    interpreter) each call computes it. One thread calls.

    Args:
        t3: shared; not written to.
        rows: that every step is computed with, most of them padding if few requests speak.

    Raises:
        RuntimeError: the device cannot record it.
    """

    def __init__(self, t3: T3, rows: int) -> None:
        from ._attention import attend  # noqa: PLC0415 - imports Triton, which not every torch comes with

        super().__init__(t3, rows, attend, lambda _: rows)
        self._graph: torch.cuda.CUDAGraph | None = None
        device = t3.speech_emb.weight.device
        if device.type == "cuda":
            self._record(device)

    @torch.inference_mode()
    def _record(self, device: torch.device) -> None:
        with torch.cuda.device(device):  # Triton launches on the current one
            super()._logits()  # all padding; Triton compiles, and libraries set themselves up
            self._recorder = Recorder(device)
            graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call] # by torch
            with self._recorder.recording(graph):
                self._recorded = super()._logits()
            self._graph = graph
            # A graph knows addresses: whoever moves the model elsewhere must not free what it reads.
            self._read = [tensor.detach() for tensor in (*self._t3.parameters(), *self._t3.buffers())]

    def _logits(self) -> torch.Tensor:
        if self._graph is None:
            return super()._logits()
        play(self._graph)
        return self._recorded.clone()  # the next step overwrites them
