"""The flow's conditional and unconditional row, each on its own half of the cores.

S3Gen's solver gives its estimator two rows that do not see each other. Computed as one batch, every small operation
is shared out among all cores and waits for the slowest; computed as two, each on half the cores, hardly anything
waits. Each row's bits are those of a batch of one on that many cores, whoever else is busy.
"""

from __future__ import annotations

import threading
import weakref
from concurrent.futures import Future
from queue import SimpleQueue
from typing import TYPE_CHECKING

import torch
from torch import nn

from ._estimator import AroundEstimator
from ._own_cores import use_cores

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Work = tuple[Future[torch.Tensor], Callable[[Any], torch.Tensor], Any]

HALVES = 2


class Halves:
    """Threads that have some of the cores each, and take rows from one queue.

    No `ThreadPoolExecutor`, which takes no more work once the main thread has ended, while others may still speak.
    They end with `shutdown`, or when nobody holds this any more.

    Args:
        threads: how many.
        cores: of each.
    """

    def __init__(self, threads: int, cores: int) -> None:
        self._work: SimpleQueue[Work | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=_work_on, args=(self._work, cores), name=f"stateless-tts-half-{index}", daemon=True)
            for index in range(threads)
        ]
        self._end = weakref.finalize(self, _end, self._work, threads)
        for thread in self._threads:
            thread.start()

    def map(self, function: Callable[[Any], torch.Tensor], rows: Iterable[Any]) -> list[torch.Tensor]:
        """Return what `function` gives for each row, or raise what it raises for the first that fails.

        Raises:
            RuntimeError: they were shut down.
        """
        futures: list[Future[torch.Tensor]] = []
        with self._lock:
            if not self._end.alive:
                raise RuntimeError("the threads of this engine's rendering have ended")
            for row in rows:
                futures.append(Future())
                self._work.put((futures[-1], function, row))
        return [future.result() for future in futures]

    def shutdown(self, *, wait: bool) -> None:
        """Take nothing more; the threads end when the rows they have been given are done, which may be waited for."""
        with self._lock:
            self._end()
        if wait:
            for thread in self._threads:
                thread.join()


def half_the_cores(threads: int, renderings: int = 1) -> Halves | None:
    """Return two threads, for each of so many renderings at a time, that have half of `threads` cores each.

    Returns None for one core, which has no halves.
    """
    if threads < HALVES:
        return None
    return Halves(HALVES * renderings, threads // HALVES)


class RowByRow(AroundEstimator):
    """An estimator that is given its rows one by one, two at the same time if there are cores for two.

    A single row, as of a flow without guidance, has all the cores of the caller.

    Args:
        estimator: S3Gen's, or a view of it.
        halves: of `half_the_cores`.
    """

    def __init__(self, estimator: nn.Module, halves: Halves | None) -> None:
        super().__init__(estimator)
        self._halves = halves

    def forward(self, x: torch.Tensor, **others: torch.Tensor | None) -> torch.Tensor:
        """Map what upstream's solver passes, each of shape (rows, ...), to what its estimator returns."""
        rows = [
            {name: None if tensor is None else tensor[row : row + 1] for name, tensor in {"x": x, **others}.items()}
            for row in range(x.size(0))
        ]
        if self._halves is None or len(rows) == 1:
            return torch.cat([self._one(row) for row in rows])
        return torch.cat(self._halves.map(self._one, rows))

    @torch.inference_mode()
    def _one(self, row: dict[str, Any]) -> torch.Tensor:
        result: torch.Tensor = self.estimator(**row)
        return result


def _work_on(work: SimpleQueue[Work | None], cores: int) -> None:
    use_cores(cores)
    while (given := work.get()) is not None:
        future, function, row = given
        try:
            future.set_result(function(row))
        except BaseException as error:  # noqa: BLE001 - who asked for the row is told
            future.set_exception(error)
        del given, future, function, row  # not to be kept while waiting for the next


def _end(work: SimpleQueue[Work | None], threads: int) -> None:
    for _ in range(threads):
        work.put(None)
