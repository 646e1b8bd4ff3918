"""Where every segment is: waiting, being spoken, finished. Nothing that is written down here is lost."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ._control import SegmentControl
from ._errors import ProcessorClosedError, SegmentCancelledError, WorkerDiedError
from ._types import StreamingResult, check_segment
from ._worker import WorkItem

if TYPE_CHECKING:
    from collections.abc import Hashable

    from ._errors import StreamingError
    from ._types import StreamingSegment

_ATTEMPTS = 2


@dataclass(eq=False)
class _Entry:
    segment: StreamingSegment
    control: SegmentControl
    position: int
    attempts: int = 0
    passed_over: int = 0
    worker_id: int | None = None
    result: StreamingResult | None = None


class SegmentLedger:
    """The one object that workers, supervisor and consumer share; its condition guards all of it.

    A segment is pending from when it is admitted until its result is taken. At most `max_pending` are: the queues of
    work and of results are therefore bounded together, and whoever admits faster than results are taken has to wait.
    As segments are admitted in text order, the one that an in-order consumer waits for is always among them.

    Args:
        max_pending: most pending segments.
        timeout: seconds that a segment may take.
    """

    def __init__(self, max_pending: int, timeout: float) -> None:
        self.changed = threading.Condition()
        self.retried = 0
        self._max_pending = max_pending
        self._timeout = timeout
        self._closed = False
        self._admitted = 0
        self._pending: dict[int, _Entry] = {}
        self._waiting: list[_Entry] = []
        self._at_work: dict[int, _Entry] = {}
        self._finished: deque[_Entry] = deque()
        self._group: Hashable = None
        self._retired: set[int] = set()
        self._all_retired = False
        self._failure: StreamingError | None = None

    # -- the consumer's side

    def admit(self, segment: StreamingSegment, *, timeout: float | None = None) -> None:
        """Take a segment in, waiting up to `timeout` seconds for room; None waits for ever.

        Raises:
            InvalidParameterError: it is no segment.
            queue.Full: there was no room in time.
            ProcessorClosedError: no more segments are taken.
        """
        check_segment(segment)
        with self.changed:
            if not self.changed.wait_for(lambda: self._closed or self.has_room, timeout):
                raise queue.Full(f"{len(self._pending)} segments are pending, max_pending={self._max_pending}")
            if self._closed:
                raise ProcessorClosedError(f"segment {segment.index}: the processor has been closed")
            entry = _Entry(segment, SegmentControl(segment.index, self._timeout), self._admitted)
            self._pending[entry.position] = entry
            self._admitted += 1
            if self._failure is not None:
                self._settle(entry, StreamingResult.failure(segment, self._failure))
                return
            self._waiting.append(entry)
            self.changed.notify_all()

    @property
    def has_room(self) -> bool:
        """Whether a segment would be admitted at once."""
        return len(self._pending) < self._max_pending

    def close(self) -> None:
        """Take no more segments."""
        with self.changed:
            self._closed = True
            self.changed.notify_all()

    def try_take_result(self, *, in_order: bool) -> StreamingResult | None:
        """Take a result, if there is one: the next in text order, or the one that was finished first."""
        with self.changed:
            entry = next(iter(self._pending.values()), None) if in_order else next(iter(self._finished), None)
            if entry is None or entry.result is None:
                return None
            del self._pending[entry.position]
            self._finished.remove(entry)
            self.changed.notify_all()
            return entry.result

    @property
    def has_ended(self) -> bool:
        """Whether no result is left, nor will come."""
        with self.changed:
            return self._closed and not self._pending

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits and nothing is being spoken."""
        with self.changed:
            return all(entry.result is not None for entry in self._pending.values())

    # -- the workers' side

    def take(self, worker_id: int, timeout: float | None) -> WorkItem | None:
        """Give `worker_id` a segment to speak; None if there will be none.

        Raises:
            queue.Empty: there was none in time.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: self._waiting or self._may_go(worker_id), timeout):
                raise queue.Empty
            if self._may_go(worker_id):
                return None
            entry = self._choose()
            # The order matters should the thread be killed in between: an entry is claimed before it stops waiting.
            entry.worker_id = worker_id
            self._at_work[worker_id] = entry
            entry.attempts += 1
            self._waiting.remove(entry)
            return WorkItem(entry.segment, entry.control)

    def finish(self, worker_id: int, result: StreamingResult) -> None:
        """Note the result of what `worker_id` was given. It is ignored if the segment has been settled otherwise."""
        with self.changed:
            entry = self._at_work.get(worker_id)
            if entry is not None:
                self._settle(entry, result)
                self._at_work.pop(worker_id, None)

    def _may_go(self, worker_id: int) -> bool:
        return self._all_retired or worker_id in self._retired or self.has_ended

    def _choose(self) -> _Entry:
        """Prefer the language and voice that were chosen last, but pass over nobody for ever."""
        oldest = self._waiting[0]
        for entry in self._waiting:
            if entry.segment.group == self._group and oldest.passed_over < self._max_pending:
                oldest.passed_over += entry is not oldest
                return entry
        self._group = oldest.segment.group
        return oldest

    # -- the supervisor's side

    def worker_died(self, worker_id: int, cause: BaseException | None) -> None:
        """Settle what a dead worker held: it waits for another worker, or has failed if it was tried often enough."""
        with self.changed:
            entry = self._at_work.pop(worker_id, None)
            if entry is None or entry.worker_id != worker_id:
                return
            if entry.result is not None:
                self._settle(entry, entry.result)
            elif entry.attempts >= _ATTEMPTS:
                died = WorkerDiedError(
                    f"segment {entry.segment.index}: {_ATTEMPTS} workers died of it, the last of "
                    f"{type(cause).__name__ if cause is not None else 'an unknown cause'}"
                )
                died.__cause__ = cause
                self._settle(entry, StreamingResult.failure(entry.segment, died, worker_id=worker_id))
            else:
                self.retried += 1
                entry.worker_id = None
                entry.control.rest()
                if entry not in self._waiting:
                    self._waiting.insert(0, entry)
                self.changed.notify_all()

    def give_up_overdue(self, grace: float) -> list[int]:
        """Fail the segments that are overdue by more than `grace` seconds; returns the workers that hang on them.

        They get no more work.
        """
        with self.changed:
            now = time.monotonic()
            late = {
                worker_id: entry
                for worker_id, entry in self._at_work.items()
                if entry.control.deadline is not None and now > entry.control.deadline + grace
            }
            for worker_id, entry in late.items():
                self._give_up(worker_id, entry, entry.control.timeout_error())
                self._retired.add(worker_id)  # at once: should it return after all, it must not take another segment
            return list(late)

    def seconds_to_next_deadline(self) -> float | None:
        """Return how long until a running segment is overdue; None if none is running."""
        with self.changed:
            deadlines = [entry.control.deadline for entry in self._at_work.values()]
            known = [deadline for deadline in deadlines if deadline is not None]
            return max(0.0, min(known) - time.monotonic()) if known else None

    def retire(self) -> None:
        """Give nobody any more work."""
        with self.changed:
            self._all_retired = True
            self.changed.notify_all()

    def cancel(self, index: int | None = None) -> int:
        """Cancel the segments named `index`, or all; returns how many had not been finished.

        Those that wait fail at once, those being spoken at their next checkpoint.
        """
        with self.changed:
            chosen = [
                entry
                for entry in self._pending.values()
                if entry.result is None and index in (None, entry.segment.index)
            ]
            for entry in chosen:
                error = SegmentCancelledError(f"segment {entry.segment.index} was cancelled")
                entry.control.stop(error)
                if entry.worker_id is None:
                    self._waiting.remove(entry)
                    self._settle(entry, StreamingResult.failure(entry.segment, error))
            return len(chosen)

    def fail_from_now_on(self, error: StreamingError) -> None:
        """Fail whatever has no result, and whatever is still to be admitted: there is nobody left to speak it."""
        with self.changed:
            self._failure = error
            self.fail_unfinished(error)

    def fail_unfinished(self, error: StreamingError) -> None:
        """Fail whatever has no result, without waiting for the workers that hold it."""
        with self.changed:
            for worker_id, entry in list(self._at_work.items()):
                self._give_up(worker_id, entry, error)
            self._waiting.clear()
            for entry in self._pending.values():
                self._settle(entry, StreamingResult.failure(entry.segment, error))

    def _give_up(self, worker_id: int, entry: _Entry, error: StreamingError) -> None:
        entry.control.stop(error)
        self._at_work.pop(worker_id, None)
        self._settle(entry, StreamingResult.failure(entry.segment, error, worker_id=worker_id))

    def _settle(self, entry: _Entry, result: StreamingResult) -> None:
        """Give `entry` its one result; later ones are ignored. Safe to repeat, should a killed thread stop half-way."""
        if entry.result is None:
            entry.result = result
        if entry.position in self._pending and entry not in self._finished:
            self._finished.append(entry)
        self.changed.notify_all()
