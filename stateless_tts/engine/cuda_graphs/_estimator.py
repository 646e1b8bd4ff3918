"""S3Gen's estimator, recorded anew for every utterance."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from stateless_tts.engine._estimator import UnmaskedEstimator, takes
from stateless_tts.private import with_private

from ._recording import Recorder

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen

_SOLVER = "flow.decoder"


class RecordedEstimator(nn.Module):
    """Computes an utterance's first call, records its second, and plays that back for it and all others.

    Upstream's solver hands its estimator the same tensors again and again, with other contents: that is how a call is
    known to belong to the utterance of the call before. Each thread has a recording of its own. What another solver
    passes only once (as for a distilled estimator) is simply computed.
    """

    def __init__(self, estimator: nn.Module, device: torch.device) -> None:
        super().__init__()
        self.estimator = estimator
        self._device = device
        self._own = threading.local()

    @property
    def dtype(self) -> torch.dtype:
        """Of the estimator's weights, as upstream's solver asks for it."""
        dtype = self.estimator.dtype
        assert isinstance(dtype, torch.dtype)
        return dtype

    def forward(self, **given: torch.Tensor | None) -> torch.Tensor:
        """Map what upstream's solver passes to what its estimator returns; the next call may overwrite it."""
        own = self._own
        if not _same(getattr(own, "given", {}), given):
            own.graph = own.result = None
            own.given = given
            computed: torch.Tensor = self.estimator(**given)
            return computed
        if own.graph is None:
            if not hasattr(own, "recorder"):
                own.recorder = Recorder(self._device)
            graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call] # by torch
            with own.recorder.recording(graph):
                own.result = self.estimator(**given)
            own.graph = graph
        own.graph.replay()
        result: torch.Tensor = own.result
        return result


def with_recorded_estimator(s3gen: S3Gen, device: torch.device) -> S3Gen:
    """Return a view of `s3gen`, with the same bits, whose estimator is recorded; `s3gen` is not written to."""
    estimator = s3gen.get_submodule(f"{_SOLVER}.estimator")
    if not takes(estimator):
        return s3gen
    view = with_private(s3gen, [_SOLVER])
    solver = view.get_submodule(_SOLVER)
    solver.estimator = RecordedEstimator(UnmaskedEstimator(estimator, with_bias=True), device)
    return view


def _same(before: dict[str, Any], given: dict[str, Any]) -> bool:
    return before.keys() == given.keys() and all(before[name] is tensor for name, tensor in given.items())
