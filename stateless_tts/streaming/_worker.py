"""A worker: a thread that takes segments from one queue and puts results into another."""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from ._control import SegmentControl
from ._errors import UnusableAudioError
from ._types import StreamingResult, StreamingSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._adapter import StreamingEngineAdapter

# How soon a worker on a plain queue notices the shutdown event; the processor's own queue wakes it at once.
_POLL_SECONDS = 0.5
_DEFAULT_TIMEOUT = 300.0


@dataclass(frozen=True)
class WorkItem:
    """A segment together with the control that can end it."""

    segment: StreamingSegment
    control: SegmentControl


class WorkQueue(Protocol):
    """Where a worker's segments come from; `queue.Queue` is one. None tells the worker to stop."""

    def get(self, block: bool = True, timeout: float | None = None) -> WorkItem | StreamingSegment | None:
        """Return the next piece of work; raises `queue.Empty` after `timeout` seconds."""


class ResultQueue(Protocol):
    """Where a worker's results go; `queue.Queue` is one."""

    def put(self, item: StreamingResult) -> None:
        """Take a result; may wait for room."""


class StreamingWorker:
    """Speaks one segment after the other on a thread of its own until it is told to stop.

    Exceptions of the engine become failed results. Whatever is no `Exception` (`SystemExit`, an asynchronous kill)
    ends the worker, and `on_exit` learns of it.

    Args:
        worker_id: for results and for the name of the thread.
        work_queue: gives segments, plain or as `WorkItem`.
        result_queue: takes one `StreamingResult` for each of them.
        adapter: the engine.
        shutdown_event: stops the worker after the segment at hand.
        parameters: for all segments.
        on_exit: called last on the worker's thread, with its id and what it died of, or None.
    """

    def __init__(
        self,
        worker_id: int,
        work_queue: WorkQueue,
        result_queue: ResultQueue,
        adapter: StreamingEngineAdapter,
        shutdown_event: threading.Event,
        *,
        parameters: Mapping[str, Any] | None = None,
        on_exit: Callable[[int, BaseException | None], None] | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.work_queue = work_queue
        self.result_queue = result_queue
        self.adapter = adapter
        self.shutdown_event = shutdown_event
        self._parameters = dict(parameters or {})
        self._on_exit = on_exit
        # Daemonic, so that an interpreter that is told to end does not wait for a long utterance.
        self._thread = threading.Thread(target=self._run, name=f"streaming-worker-{worker_id}", daemon=True)

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def ident(self) -> int | None:
        """The thread's identifier, once it has been started."""
        return self._thread.ident

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread to end."""
        self._thread.join(timeout)

    def _run(self) -> None:
        cause: BaseException | None = None
        try:
            self._work_loop()
        except BaseException as error:  # noqa: BLE001 - the thread ends here, and says what of
            cause = error
        finally:
            if self._on_exit is not None:
                self._on_exit(self.worker_id, cause)

    def _work_loop(self) -> None:
        while not self.shutdown_event.is_set():
            try:
                work = self.work_queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if work is None:
                return
            item = work if isinstance(work, WorkItem) else _controlled(work)
            self.result_queue.put(speak(self.adapter, item, self._parameters, self.worker_id))
            del work, item  # an idle worker holds nobody's voice


def speak(
    adapter: StreamingEngineAdapter, item: WorkItem, parameters: Mapping[str, Any], worker_id: int = 0
) -> StreamingResult:
    """Speak `item` on the calling thread; an adapter may have a `process_segment` of its own, which is not trusted."""
    item.control.begin()
    try:
        result = adapter.process_segment(
            item.segment, worker_id=worker_id, checkpoint=item.control.checkpoint, **parameters
        )
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the segment's result
        return StreamingResult.failure(item.segment, error, worker_id=worker_id)
    if not isinstance(result, StreamingResult):
        unusable = UnusableAudioError(f"the engine returned {type(result).__name__}: expected StreamingResult")
        return StreamingResult.failure(item.segment, unusable, worker_id=worker_id)
    return result


def _controlled(segment: StreamingSegment) -> WorkItem:
    return WorkItem(segment, SegmentControl(segment.index, _DEFAULT_TIMEOUT))
