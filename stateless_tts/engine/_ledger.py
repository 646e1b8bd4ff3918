"""Who is where: the engine's only mutable state that threads share, under one lock."""

from __future__ import annotations

import os
import threading
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stateless_tts.errors import EngineClosedError, EngineFailedError, QueueFullError

CLOSED = "the engine is closed; expected a submission before close()"

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from stateless_tts.request import SpeechResult

    from ._job import Job


@dataclass(frozen=True)
class Occupancy:
    """How many requests are where at one moment.

    Attributes:
        waiting: accepted, voice and prompt not prepared yet.
        ready: prepared, waiting for a place in the batch.
        decoding: in the batch.
        to_render: spoken, waiting for a render thread.
        unfinished: all of them, and those being prepared or rendered.
        reserved_cache_bytes: the most that the caches of the batch may grow to.
    """

    waiting: int
    ready: int
    decoding: int
    to_render: int
    unfinished: int
    reserved_cache_bytes: int


class Ledger:
    """Jobs in first-come order between the stages, with the engine's bounds.

    Args:
        most_unfinished: requests that may be accepted and not finished.
        max_batch_size: requests that decode together.
        max_cache_bytes: what the caches of the batch may grow to together; None for no bound.
    """

    def __init__(self, most_unfinished: int, max_batch_size: int, max_cache_bytes: int | None) -> None:
        self._changed = threading.Condition(threading.RLock())
        self._most_unfinished = most_unfinished
        self._max_batch_size = max_batch_size
        self._max_cache_bytes = max_cache_bytes
        self._unfinished: set[Job] = set()
        self._waiting: deque[Job] = deque()
        self._ready: deque[Job] = deque()
        self._decoding: set[Job] = set()
        self._to_render: deque[Job] = deque()
        self._accepting = True
        self._stopped = False
        self._reason: Callable[[], BaseException | None] = _no_reason
        self._reserved = 0
        self._process = os.getpid()

    @property
    def is_of_another_process(self) -> bool:
        """Whether this process was forked from the one that has the threads. Locks may be held for ever here."""
        return os.getpid() != self._process

    def occupancy(self) -> Occupancy:
        """Return the present counts."""
        with self._changed:
            return Occupancy(
                waiting=len(self._waiting),
                ready=len(self._ready),
                decoding=len(self._decoding),
                to_render=len(self._to_render),
                unfinished=len(self._unfinished),
                reserved_cache_bytes=self._reserved,
            )

    def accept(self, job: Job, *, block: bool, timeout: float | None) -> None:
        """Take a new job, or wait for a place.

        Raises:
            QueueFullError: there is no place, and none came within `timeout` seconds.
            DeadlineExceededError: the job's deadline passed first.
            EngineClosedError: the engine is closed, or was while waiting.
            EngineFailedError: one of its threads has died, or did while waiting; or this process was forked from the
                engine's, where the threads have stayed.
        """
        if self.is_of_another_process:
            raise EngineFailedError(
                f"the engine's threads are in process {self._process}; expected an engine made after the fork"
            )
        with self._changed:
            if block:
                waits = [seconds for seconds in (timeout, job.seconds_left()) if seconds is not None]
                self._changed.wait_for(
                    lambda: not self._accepting or self._has_place(), waitable(min(waits, default=None))
                )
            if not self._accepting:
                raise self._reason() or EngineClosedError(CLOSED)
            if not self._has_place():
                if job.seconds_left() == 0:
                    raise job.overdue()
                waited = f" within timeout={timeout} s" if block else ""
                raise QueueFullError(
                    f"{len(self._unfinished)} requests are unfinished, at most {self._most_unfinished} are accepted; "
                    f"none finished{waited}"
                )
            self._unfinished.add(job)
            self._waiting.append(job)
            self._changed.notify_all()
        job.future.add_done_callback(self._cancelling(job))

    def next_to_prepare(self) -> Job | None:
        """Wait for a job whose prompt is to be prepared; None when the engine stops."""
        return self._take_from(self._waiting)

    def next_to_render(self) -> Job | None:
        """Wait for a job whose tokens are spoken; None when the engine stops."""
        return self._take_from(self._to_render)

    def prepared(self, job: Job) -> None:
        """Pass a job on to decoding."""
        self._pass_on(job, self._ready)

    def spoken(self, job: Job) -> None:
        """Pass a job on to rendering; its cache must be gone."""
        self._release(job)
        self._pass_on(job, self._to_render)

    def next_to_decode(self, *, wait: bool) -> Job | None:
        """Return the next job if the batch has room for it, and reserve its cache bytes.

        Args:
            wait: wait until there is one, or a deadline passes, or the engine stops.
        """
        with self._changed:
            if wait and not self._fits() and not self._stopped:
                self._changed.wait(waitable(self._seconds_to_next_deadline()))
            if self._stopped or not self._fits():
                return None
            job = self._ready.popleft()
            self._decoding.add(job)
            self._reserved += job.cache_bytes
            return job

    def end(self, job: Job, outcome: SpeechResult | BaseException | None) -> None:
        """Decide a job's outcome; the first decision stands. None cancels.

        A job in the batch keeps its reservation until `left_batch`, when its cache is really gone.
        """
        with self._changed:
            if job.ended:
                return
            job.ended = True
            self._unfinished.discard(job)
            for line in (self._waiting, self._ready, self._to_render):
                if job in line:
                    line.remove(job)
            self._changed.notify_all()
        job.conclude(outcome)

    def left_batch(self, job: Job) -> None:
        """Note that an ended job has left the batch and its cache is gone."""
        self._release(job)

    def expire(self) -> None:
        """End every job whose deadline has passed."""
        with self._changed:
            late = [job for job in self._unfinished if job.seconds_left() == 0]
        for job in late:
            self.end(job, job.overdue())

    def keep_deadlines(self) -> None:
        """End jobs as their deadlines pass, until the ledger stops."""
        while not self._stopped:
            self.expire()
            with self._changed:
                if not self._stopped:
                    self._changed.wait(waitable(self._seconds_to_next_deadline()))

    def close(self) -> None:
        """Accept nothing more; what was accepted goes on."""
        with self._changed:
            self._accepting = False
            self._changed.notify_all()

    def wait_until_idle(self, timeout: float | None) -> bool:
        """Wait until every accepted job has ended; returns whether that came true within `timeout` seconds.

        A ledger that has been stopped is idle: whoever stopped it ends the jobs, and may be who waits here, in a
        callback of one of them.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._stopped or not self._unfinished, waitable(timeout))

    def stop(self, reason: Callable[[], BaseException | None] | None = None) -> None:
        """Stop all threads at their next turn and end every job, with a `reason` of its own or cancelled.

        What interrupts this (`KeyboardInterrupt`) does so when every job has ended.
        """
        with self._changed:
            self._accepting = False
            self._stopped = True
            self._reason = reason or self._reason
            unfinished = list(self._unfinished)
            self._changed.notify_all()
        interruptions = [error for job in unfinished for error in self._end_surely(job)]
        if interruptions:
            raise interruptions[-1]

    def _end_surely(self, job: Job) -> list[KeyboardInterrupt]:
        """End a job however often this is interrupted; returns what interrupted it."""
        interruptions: list[KeyboardInterrupt] = []
        while True:
            try:
                self.end(job, self._reason())
                if interruptions and not job.future.done():  # between the decision and the future
                    job.conclude(self._reason())
            except KeyboardInterrupt as error:
                interruptions.append(error)
            else:
                return interruptions

    @property
    def stopped(self) -> bool:
        """Whether `stop` has been called."""
        return self._stopped

    def _cancelling(self, job: Job) -> Callable[[Future[SpeechResult]], None]:
        # Who keeps the future keeps its callbacks, and shall not keep the job with all that it holds.
        reference = weakref.ref(job)

        def end_if_cancelled(future: Future[SpeechResult]) -> None:
            known = reference()
            if known is not None and future.cancelled():
                self.end(known, None)

        return end_if_cancelled

    def _has_place(self) -> bool:
        return len(self._unfinished) < self._most_unfinished

    def _fits(self) -> bool:
        if not self._ready or len(self._decoding) >= self._max_batch_size:
            return False
        if self._max_cache_bytes is None:
            return True
        return self._reserved + self._ready[0].cache_bytes <= self._max_cache_bytes

    def _seconds_to_next_deadline(self) -> float | None:
        lefts = [job.seconds_left() for job in self._unfinished]
        return min((left for left in lefts if left is not None), default=None)

    def _take_from(self, line: deque[Job]) -> Job | None:
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or line)
            return None if self._stopped else line.popleft()

    def _pass_on(self, job: Job, line: deque[Job]) -> None:
        with self._changed:
            if not job.ended:
                line.append(job)
                self._changed.notify_all()

    def _release(self, job: Job) -> None:
        with self._changed:
            if job in self._decoding:
                self._decoding.remove(job)
                self._reserved -= job.cache_bytes
                self._changed.notify_all()


def _no_reason() -> None:
    """Cancel."""


def waitable(seconds: float | None) -> float | None:
    """Return `seconds`, or the most that a thread can be told to wait."""
    return None if seconds is None else min(seconds, threading.TIMEOUT_MAX)
