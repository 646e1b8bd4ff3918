"""Start threads together, hand out requests, and never wait for ever."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.errors import SubjectError
from harness.run.digest import describe_error, mark
from harness.run.records import CallRecord, Ending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.run.taps import StageTaps
    from harness.subject import Subject


@dataclass(frozen=True)
class PhaseResult:
    """The records of one phase, in the order of the schedule, and its length on the wall clock, seconds.

    A phase is as long as its calls; one with a call that never ended, as long as it was watched.
    """

    calls: tuple[CallRecord, ...]
    wall_s: float

    @property
    def hung(self) -> bool:
        return any(call.ending is Ending.HUNG for call in self.calls)


class Phase:
    """One phase of a cell: `workers` threads make the scheduled calls of `subject`.

    All threads wait at a barrier, then take requests from one queue. The phase ends when all calls have
    ended, or when none has for `patience_s` seconds: what is still under way then is written down as hung.
    """

    def __init__(
        self,
        subject: Subject,
        requests: Sequence[object],
        schedule: Sequence[int],
        taps: StageTaps,
        *,
        workers: int,
        patience_s: float,
        on_call: Callable[[], None] = lambda: None,
    ) -> None:
        self._subject = subject
        self._requests = requests
        self._schedule = tuple(schedule)
        self._taps = taps
        self._workers = workers
        self._patience_s = patience_s
        self._on_call = on_call
        self._waiting = deque(enumerate(self._schedule))
        self._barrier = threading.Barrier(workers + 1)
        self._changed = threading.Condition()
        self._under_way: dict[int, CallRecord] = {}
        self._done: dict[int, CallRecord] = {}
        self._closed = False
        self._start = 0.0

    def run(self) -> PhaseResult:
        """Run the phase to its end and return what happened."""
        # Daemon threads, because a call that never ends must not keep the process alive.
        threads = [
            threading.Thread(target=self._work, args=(worker,), name=f"harness-{worker}", daemon=True)
            for worker in range(self._workers)
        ]
        for thread in threads:
            thread.start()
        self._start = time.perf_counter()
        self._barrier.wait()
        self._wait()
        watched_s = time.perf_counter() - self._start
        with self._changed:
            self._closed = True
            records = {**self._under_way, **self._done}
        ended = [record.ended_s for record in records.values() if record.ended_s is not None]
        complete = len(self._done) == len(self._schedule)
        if complete:
            for thread in threads:
                thread.join()
        calls = (records.get(place, _not_started(request)) for place, request in enumerate(self._schedule))
        return PhaseResult(tuple(calls), max(ended, default=0.0) if complete else watched_s)

    def _wait(self) -> None:
        seen = 0
        with self._changed:
            while len(self._done) < len(self._schedule):
                self._changed.wait(self._patience_s)
                if len(self._done) == seen:
                    return
                for _ in range(len(self._done) - seen):
                    self._on_call()
                seen = len(self._done)

    def _work(self, worker: int) -> None:
        self._barrier.wait()
        while True:
            try:
                place, request = self._waiting.popleft()
            except IndexError:
                return
            started = time.perf_counter() - self._start
            with self._changed:
                if self._closed:
                    return
                self._under_way[place] = CallRecord(request, worker, started, None, Ending.HUNG)
            record = self._call(worker, request, started)
            with self._changed:
                # A call that ends after it was written down as hung comes too late to be counted.
                if self._closed:
                    return
                self._done[place] = record
                self._changed.notify_all()

    def _call(self, worker: int, request: int, started: float) -> CallRecord:
        output, samples, error = None, 0, None
        with self._taps.recording() as marks:
            try:
                tensor = self._subject.call(self._requests[request])
                ended = time.perf_counter() - self._start
                if not isinstance(tensor, torch.Tensor):
                    kind = type(tensor).__name__
                    raise SubjectError(f"subject {self._subject.name!r} returned {kind}, not a tensor")  # noqa: TRY301 - a wrong result is recorded as the call's own failure
                output, samples = mark(tensor), tensor.shape[-1] if tensor.ndim else 1
            except BaseException as caught:  # noqa: BLE001 - whatever a subject raises is an observation
                ended = time.perf_counter() - self._start
                error = describe_error(caught)
        return CallRecord(
            request=request,
            worker=worker,
            started_s=started,
            ended_s=ended,
            ending=Ending.RAISED if error else Ending.RETURNED,
            output=output,
            samples=samples,
            error=error,
            stages={name: tuple(stage_marks) for name, stage_marks in marks.items()},
        )


def _not_started(request: int) -> CallRecord:
    return CallRecord(request, -1, None, None, Ending.NOT_STARTED)
