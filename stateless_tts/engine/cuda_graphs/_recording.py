"""Recording what a GPU is asked for, while other threads go on using it."""

from __future__ import annotations

import importlib.util
import logging
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

# Volta, the oldest that Triton compiles for.
_LEAST_CAPABILITY = (7, 0)
# To torch a recording is something of the whole process: until 2.13, no graph may be played, or let go of, meanwhile.
ONE_AT_A_TIME = threading.RLock()
# The allocator remembers the address of a graph whose recording failed.
_failed: list[torch.cuda.CUDAGraph] = []


def can_record(device: torch.device) -> bool:
    """Whether to try recording on `device`: a CUDA device that Triton, which is installed, compiles for."""
    if device.type != "cuda" or torch.version.cuda is None or importlib.util.find_spec("triton") is None:
        return False
    return torch.cuda.get_device_capability(device) >= _LEAST_CAPABILITY


def play(graph: torch.cuda.CUDAGraph) -> None:
    """Ask for what was recorded, in the current stream."""
    with ONE_AT_A_TIME:
        graph.replay()  # type: ignore[no-untyped-call] # by torch


class Recorder:
    """Records graphs whose memory comes out of one pool. A graph is let go before the next one is recorded.

    The pool outlives its graphs, so that the driver is not asked for memory again for each of them. Nothing is shared
    by graphs of two recorders, which may be played side by side.
    """

    def __init__(self, device: torch.device) -> None:
        self._device = device
        # One of those with priority: there are 32 of either kind, given out in turn, and a stream that somebody else
        # works in must not record what they ask for.
        self._stream = torch.cuda.Stream(device, priority=-1)  # type: ignore[no-untyped-call] # by torch
        self._pool = torch.cuda.graph_pool_handle()  # type: ignore[no-untyped-call] # by torch
        # A graph of next to nothing, which keeps the pool.
        self._keeper, self._kept = self._trivial(self._pool)

    @contextmanager
    def recording(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """Record what is asked for in this thread, instead of doing it.

        Everything used must have been used before, so that no library has anything left to set up. `torch.cuda.graph`
        would wait for the GPU, collect garbage and give the driver its memory back each time.
        """
        with ONE_AT_A_TIME:
            current = torch.cuda.current_stream(self._device)
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream), self._tidied_up(graph), self._captured(graph, self._pool):
                yield
            current.wait_stream(self._stream)

    @contextmanager
    def _captured(self, graph: torch.cuda.CUDAGraph, pool: tuple[int, int]) -> Iterator[None]:
        # Other threads may allocate meanwhile; in the default mode that would fail for them.
        graph.capture_begin(pool=pool, capture_error_mode="thread_local")  # type: ignore[no-untyped-call] # by torch
        try:
            yield
        finally:
            graph.capture_end()  # type: ignore[no-untyped-call] # by torch

    @contextmanager
    def _tidied_up(self, graph: torch.cuda.CUDAGraph) -> Iterator[None]:
        """After a recording that failed, tell torch's allocator and generator that it is over, which it forgets."""
        try:
            yield
        except BaseException:
            _failed.append(graph)
            for name in ("_cuda_endAllocateToPool", "_cuda_endAllocateCurrentStreamToPool"):
                with suppress(Exception):
                    getattr(torch._C, name)(self._stream.device.index, self._pool)  # noqa: SLF001 - as torch itself does
            with suppress(Exception):
                self._trivial(torch.cuda.graph_pool_handle())  # type: ignore[no-untyped-call] # by torch
            raise

    def _trivial(self, pool: tuple[int, int]) -> tuple[torch.cuda.CUDAGraph, torch.Tensor]:
        graph = torch.cuda.CUDAGraph()  # type: ignore[no-untyped-call] # by torch
        with ONE_AT_A_TIME, torch.cuda.stream(self._stream), self._captured(graph, pool):
            kept = torch.zeros(1, device=self._device)
        return graph, kept
