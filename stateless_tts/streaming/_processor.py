"""Workers over one adapter, and a supervisor that sees to it that every segment gets its one result."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Sized
from typing import TYPE_CHECKING, Any, Self

from stateless_tts.errors import InvalidParameterError
from stateless_tts.randomness import fresh_seed

from ._errors import ProcessorClosedError, SegmentCancelledError, StreamingStartError
from ._ledger import SegmentLedger
from ._types import StreamingConfig, StreamingMetrics, StreamingResult, StreamingSegment
from ._worker import StreamingWorker, WorkItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

    from ._adapter import StreamingEngineAdapter

logger = logging.getLogger(__name__)

# A worker that dies says so; this is how soon one is missed that could not even do that.
_LOOK_SECONDS = 0.5


class TrueStreamingProcessor:
    """Speaks segments with several workers at once, over one model per language.

    Every segment that was admitted gets exactly one result. Results are taken by `results` (or `process`), as they
    finish or in text order; at most ``config.max_pending`` are held. Use it as a context manager: on the way out,
    also on Ctrl-C, what is unfinished is cancelled and the threads end.

    Args:
        adapter: the engine.
        config: see `StreamingConfig`.
        parameters: for all segments; ``seed`` is the base that each segment's own seed is derived from.

    Raises:
        InvalidParameterError: a parameter is none of the engine's.
    """

    def __init__(
        self,
        adapter: StreamingEngineAdapter,
        config: StreamingConfig | None = None,
        **parameters: Any,  # noqa: ANN401 - each engine has parameters of its own
    ) -> None:
        adapter.check_parameters(parameters)
        if parameters.get("seed") is None:
            parameters["seed"] = fresh_seed()
        self.config = config or StreamingConfig()
        self.metrics = StreamingMetrics(workers=max(1, self.config.workers), base_seed=parameters["seed"])
        self._adapter = adapter
        self._parameters = parameters
        self._ledger = SegmentLedger(self.config.max_pending, self.config.worker_timeout)
        self._worker_ids = itertools.count()
        self._workers: dict[int, StreamingWorker] = {}
        self._given_up: list[StreamingWorker] = []
        self._exits: dict[int, BaseException | None] = {}
        self._shutdown = threading.Event()
        self._supervision = threading.RLock()  # a signal may shut down in the middle of it
        self._supervisor = threading.Thread(target=self._supervise, name="streaming-supervisor", daemon=True)
        self._began = 0.0
        self._cancelled_ahead: set[int | None] | None = None

    def start(self) -> None:
        """Start the workers.

        Raises:
            StreamingStartError: a thread could not be started, and those that were have ended; or there was
                a start before.
        """
        if self._began:
            raise StreamingStartError("the processor has been started already")
        self._began = time.perf_counter()
        try:
            for _ in range(max(1, self.config.workers)):
                self._add_worker()
            self._supervisor.start()
        except RuntimeError as error:
            self.shutdown()
            raise StreamingStartError(f"{max(1, self.config.workers)} workers could not be started: {error}") from error

    def submit(self, segment: StreamingSegment, *, block: bool = True, timeout: float | None = None) -> None:
        """Hand in a segment; with the queues full, wait for results to be taken.

        Raises:
            queue.Full: there is no room, and `block` is false or `timeout` seconds have passed.
            ProcessorClosedError: after `close` or `shutdown`.
        """
        self._ledger.admit(segment, timeout=timeout if block else 0.0)

    def close(self) -> None:
        """Declare that no more segments come; `results` ends after the last result."""
        self._ledger.close()

    def results(self, *, in_order: bool = False) -> Iterator[StreamingResult]:
        """Yield results, waiting for them, until the processor is closed and nothing is left.

        Args:
            in_order: in the order in which segments were submitted, instead of as they finish.

        Raises:
            StreamingStartError: the processor has not been started, so that none would ever come.
        """
        self._check_started()
        while (result := self._next_result(in_order=in_order)) is not None:
            yield result

    def process(self, segments: Iterable[StreamingSegment], *, in_order: bool = False) -> Iterator[StreamingResult]:
        """Yield one result for each of `segments`, which are read only as fast as results are taken.

        Nothing is taken in after a shutdown: what was read and refused, and all the rest of a collection, has failed
        with `ProcessorClosedError`; an iterator is read no further.

        Args:
            segments: in text order.
            in_order: yield in that order, instead of as they finish.

        Raises:
            Exception: what reading `segments` raised, after the results of those that had been read.
        """
        self._cancelled_ahead = set()
        return self._process(iter(segments), in_order=in_order, is_collection=isinstance(segments, Sized))

    def _process(
        self, source: Iterator[StreamingSegment], *, in_order: bool, is_collection: bool
    ) -> Iterator[StreamingResult]:
        self._check_started()
        refused: list[StreamingSegment] = []
        broken: Exception | None = None
        while not refused and broken is None:
            if not self._ledger.has_room:
                result = self._next_result(in_order=in_order)
                if result is not None:  # else it was shut down meanwhile, and there is room
                    yield result
                continue
            try:
                segment = next(source)
            except StopIteration:
                break
            except Exception as error:  # noqa: BLE001 - it is raised when what was read has its results
                broken = error
                break
            try:
                self._take_in(segment)
            except ProcessorClosedError:
                refused = [segment, *(source if is_collection else ())]
            except InvalidParameterError as error:
                broken = error
        self._cancelled_ahead = None
        self.close()
        yield from self.results(in_order=in_order)
        for segment in refused:
            closed = ProcessorClosedError(f"segment {segment.index}: the processor has been closed")
            failure = StreamingResult.failure(segment, closed)
            self.metrics.add_result(failure)
            yield failure
        if broken is not None:
            raise broken

    def _take_in(self, segment: StreamingSegment) -> None:
        """Submit a segment that has been read; it fails at once if it was cancelled ahead."""
        with self._ledger.changed:
            self.submit(segment)
            if (self._cancelled_ahead or set()) & {None, segment.index}:
                self._ledger.cancel(segment.index)

    def cancel(self, index: int | None = None) -> int:
        """Cancel the segments named `index`, or all; returns how many had been submitted and were unfinished.

        Each still gets its result: a failure with `SegmentCancelledError`, or what it had finished with by then.
        While `process` is reading segments, those that it has still to read are cancelled too.
        """
        with self._ledger.changed:
            if self._cancelled_ahead is not None:
                self._cancelled_ahead.add(index)
            return self._ledger.cancel(index)

    def shutdown(self, *, drain: bool = False, timeout: float | None = None) -> bool:
        """Take no more segments, end what is under way, and end the threads. Results can still be taken afterwards.

        Args:
            drain: first let the submitted segments be finished, as far as the time allows.
            timeout: seconds for all of it; None for ``config.shutdown_timeout``.

        Returns:
            Whether all threads have ended. One that hangs inside an engine cannot be ended; it is a daemon, and its
            segment has failed.
        """
        end = time.monotonic() + (self.config.shutdown_timeout if timeout is None else timeout)
        self.close()
        try:
            if drain:
                with self._ledger.changed:
                    self._ledger.changed.wait_for(lambda: self._ledger.is_idle, max(0.0, end - time.monotonic()))
        finally:
            self._ledger.cancel()
            self._shutdown.set()
            self._ledger.retire()
        with self._supervision:  # whoever is being replaced has been, and from now on nobody is
            threads = [*self._workers.values(), *self._given_up]
        for worker in threads:
            if worker.ident is not None:
                worker.join(max(0.0, end - time.monotonic()))
        self._ledger.fail_unfinished(SegmentCancelledError("the processor was shut down before the segment ended"))
        if self._supervisor.ident is not None:
            self._supervisor.join(max(_LOOK_SECONDS, end - time.monotonic()))
        left = [worker.worker_id for worker in threads if worker.is_alive]
        if left:
            logger.warning("workers %s did not end in time; they are daemons, their segments have failed", left)
        return not left

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.shutdown()

    def _check_started(self) -> None:
        if not self._began:
            raise StreamingStartError("the processor has not been started: use it in a with block, or call start()")

    def _next_result(self, *, in_order: bool) -> StreamingResult | None:
        changed = self._ledger.changed
        while True:
            with changed:
                result = self._ledger.try_take_result(in_order=in_order)
                if result is None and not self._ledger.has_ended:
                    changed.wait(_LOOK_SECONDS)
                    result = self._ledger.try_take_result(in_order=in_order)
                ended = self._ledger.has_ended
            if result is not None:
                self.metrics.add_result(result)
                self.metrics.wall_time = time.perf_counter() - self._began
                self.metrics.retried_segments = self._ledger.retried
                return result
            if ended:
                return None
            self._look_after_workers()  # should the supervisor be the one that was killed

    # -- workers and their supervisor

    def _add_worker(self) -> None:
        worker_id = next(self._worker_ids)
        desk = _Desk(self._ledger, worker_id)
        worker = StreamingWorker(
            worker_id,
            desk,
            desk,
            self._adapter,
            self._shutdown,
            parameters=self._parameters,
            on_exit=self._note_exit,
        )
        worker.start()
        self._workers[worker_id] = worker

    def _note_exit(self, worker_id: int, cause: BaseException | None) -> None:
        with self._ledger.changed:
            self._exits[worker_id] = cause
            self._ledger.changed.notify_all()

    def _supervise(self) -> None:
        while not self._shutdown.is_set() and not self._ledger.has_ended:
            self._look_after_workers()
            with self._ledger.changed:
                if not self._exits:
                    self._ledger.changed.wait(self._seconds_to_look())

    def _seconds_to_look(self) -> float:
        soonest = self._ledger.seconds_to_next_deadline()
        return _LOOK_SECONDS if soonest is None else min(_LOOK_SECONDS, soonest + self.config.timeout_grace)

    def _look_after_workers(self) -> None:
        """Replace the workers that died or that hang, and settle what they held."""
        with self._supervision:
            for worker_id, worker in list(self._workers.items()):
                if worker_id in self._exits or not worker.is_alive:
                    cause = self._exits.pop(worker_id, None)
                    self._ledger.worker_died(worker_id, cause)
                    self._replace(worker_id, f"died of {cause!r}")
            for worker_id in self._ledger.give_up_overdue(self.config.timeout_grace):
                self._given_up.append(self._workers[worker_id])
                self._replace(worker_id, "hangs on a segment that is overdue")
            with self._ledger.changed:  # one that was given up may end after all; nobody waits for its exit
                for worker_id in self._exits.keys() - self._workers.keys():
                    del self._exits[worker_id]

    def _replace(self, worker_id: int, reason: str) -> None:
        self._workers.pop(worker_id)
        if self._shutdown.is_set() or self._ledger.has_ended:
            return
        logger.warning("worker %d %s; it is replaced", worker_id, reason)
        self.metrics.workers_replaced += 1
        try:
            self._add_worker()
        except RuntimeError as error:
            logger.warning("no worker could be started in place of worker %d: %s", worker_id, error)
            if not self._workers:
                self._ledger.fail_from_now_on(StreamingStartError(f"no worker is left or can be started: {error}"))


class _Desk:
    """The ledger as one worker sees it: a queue to get from, and one to put into."""

    def __init__(self, ledger: SegmentLedger, worker_id: int) -> None:
        self._ledger = ledger
        self._worker_id = worker_id

    def get(self, block: bool = True, timeout: float | None = None) -> WorkItem | None:
        """Return what to speak next; None to stop."""
        return self._ledger.take(self._worker_id, timeout if block else 0.0)

    def put(self, item: StreamingResult) -> None:
        """Hand in the result of it."""
        self._ledger.finish(self._worker_id, item)
