"""Recording what a GPU is asked for, while other threads go on using it."""

from __future__ import annotations

import importlib.util
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

# Volta, the oldest that Triton compiles for.
_LEAST_CAPABILITY = (7, 0)


def can_record(device: torch.device) -> bool:
    """Whether steps and estimator can be recorded on `device`: a CUDA device that Triton compiles for."""
    if device.type != "cuda" or torch.version.cuda is None or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY


class Recorder:
    """Records graphs whose memory comes out of one pool. A graph is let go before the next one is recorded.

    The pool outlives its graphs, so that the driver is not asked for memory again for each of them.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call] # by torch
        self._pool = torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call] # by torch
        # A graph of next to nothing, which keeps the pool.
        self._keeper = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call] # by torch
        with self.recording(self._keeper):
            self._kept = torch.zeros(1, device=device)

    @contextmanager
    def recording(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Record what is asked for in this thread, instead of doing it.

        Everything used must have been used before, so that no library has anything left to set up. `torch.cuda.graph`
        would wait for the GPU, collect garbage and give the driver its memory back each time.
        """
        current = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            # Other threads may allocate meanwhile; in the default mode that would fail for them.
            graph.capture_begin(pool=self._pool, capture_error_mode="thread_local")  # type: ignore[no-untyped-call] # by torch
            try:
                yield
            finally:
                graph.capture_end()  # type: ignore[no-untyped-call] # by torch
        current.wait_stream(self._stream)
