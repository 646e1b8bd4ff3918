"""Runs calls: alone, held at a line, and many at once; always with a bounded wait."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import dis
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.audit.watch.guards import is_held
from harness.errors import SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import FrameType

    from harness.audit.watch.locate import Site

SWITCH_INTERVAL = 1e-5
BLOCKED_AFTER = 0.2
POLL = 0.02
WAITING_METHODS = frozenset({"acquire", "wait", "result", "get", "join"})


@dataclass(frozen=True)
class Outcome:
    """What came of one call: its value or its error, and how long it took.

    Attributes:
        value: what the call returned, copied at once if `run` was told to.
        error: `Type: message` of the exception it raised, or an empty string.
        trace: the exception's traceback.
        seconds: wall time.
        finished: False for a call that was still running when waiting ended.
    """

    value: Any = None
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    finished: bool = True


UNFINISHED = Outcome(error="the call did not end", finished=False)


def copied(value: Any) -> Any:  # noqa: ANN401 - whatever a call returns
    """`value` with memory of its own, so that later writes to a shared buffer do not show in it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {key: copied(held) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [copied(held) for held in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        own = copy.copy(value)
        for name in _compared(value):
            object.__setattr__(own, name, copied(getattr(value, name)))
        return own
    return value


def _compared(value: Any) -> list[str]:  # noqa: ANN401 - an instance of a dataclass
    return [field.name for field in dataclasses.fields(value) if field.compare]


def identical(  # noqa: PLR0911 - one return for each sort of value
    one: Any,  # noqa: ANN401 - whatever a call returns
    other: Any,  # noqa: ANN401 - as above
) -> bool:
    """Whether two results have the same shape, type and bits (NaN counts as equal to the same NaN).

    Raises:
        SubjectError: they are of a type that cannot be compared.
    """
    if isinstance(one, torch.Tensor) and isinstance(other, torch.Tensor):
        return one.shape == other.shape and one.dtype == other.dtype and _same_bits(one, other)
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.shape == other.shape and one.dtype == other.dtype and one.tobytes() == other.tobytes()
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(identical(held, other[key]) for key, held in one.items())
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(identical, one, other))
    if dataclasses.is_dataclass(one) and type(one) is type(other):
        return all(identical(getattr(one, name), getattr(other, name)) for name in _compared(one))
    if one is other:
        return True
    if type(one) is type(other) and type(one).__eq__ is object.__eq__:  # type: ignore[comparison-overlap] # by mypy's types
        raise _incomparable(one)
    try:
        return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
    except (RuntimeError, TypeError, ValueError) as error:
        raise _incomparable(one) from error


def _same_bits(one: torch.Tensor, other: torch.Tensor) -> bool:
    try:
        left, right = one.detach().cpu().contiguous().reshape(-1), other.detach().cpu().contiguous().reshape(-1)
        return torch.equal(left.view(torch.uint8), right.view(torch.uint8))
    except RuntimeError as error:  # of a sparse or a quantised one
        raise _incomparable(one) from error


def _named(value: object) -> str:
    return f"a tensor of {value.dtype} and {value.layout}" if isinstance(value, torch.Tensor) else type(value).__name__


def _incomparable(value: object) -> SubjectError:
    return SubjectError(
        f"a call returned {_named(value)}, which cannot be compared bit by bit; expected tensors, arrays, "
        f"numbers, text, or lists, tuples, dictionaries and dataclasses of them"
    )


def difference(outcome: Outcome, reference: Outcome) -> str:
    """In words, how `outcome` differs from `reference`; an empty string if it does not."""
    if not outcome.finished:
        return "it did not end"
    if outcome.error:
        return "" if outcome.error == reference.error else f"it raised {outcome.error}"
    if identical(outcome.value, reference.value):
        return ""
    value, expected = outcome.value, reference.value
    if isinstance(value, torch.Tensor) and isinstance(expected, torch.Tensor):
        if value.shape != expected.shape:
            return f"its output has shape {tuple(value.shape)} instead of {tuple(expected.shape)}"
        changed = int((value != expected).sum())
        return f"{changed} of {value.numel()} values of its output changed" if changed else "its output changed"
    return "its output changed"


def run(call: Callable[[Any], Any], request: object, *, copied_at_once: bool = True) -> Outcome:
    """Run one call in this thread."""
    start = time.perf_counter()
    try:
        value = call(request)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a subject raises is an observation
        seconds = time.perf_counter() - start
        return Outcome(error=f"{type(error).__name__}: {error}", trace=traceback.format_exc(), seconds=seconds)
    seconds = time.perf_counter() - start
    return Outcome(copied(value) if copied_at_once else value, seconds=seconds)


def _line_of(instruction: dis.Instruction) -> int | None:
    return instruction.positions.lineno if instruction.positions else None


class Worker:
    """One call in a thread of its own, which may be waited for, found blocked, or left behind."""

    def __init__(self, call: Callable[[Any], Any], request: object, prepare: Callable[[], None] | None = None) -> None:
        self._call, self._request, self._prepare = call, request, prepare
        self._outcome: Outcome | None = None
        self.thread = threading.Thread(target=self._work, name="audited-call", daemon=True)

    def start(self) -> Worker:
        self.thread.start()
        return self

    def _work(self) -> None:
        if self._prepare is not None:
            self._prepare()
        try:
            self._outcome = run(self._call, self._request, copied_at_once=False)
        finally:
            sys.settrace(None)

    @property
    def outcome(self) -> Outcome:
        return self._outcome or UNFINISHED

    def wait(self, seconds: float) -> Outcome:
        self.thread.join(seconds)
        return self.outcome

    def wait_or_blocked(self, seconds: float, until: Callable[[], bool] = lambda: False) -> bool:
        """Wait for the call, or `until` it is so; True if it stood still, using no processor time, as behind a lock."""
        end = time.monotonic() + seconds
        used, since = -1.0, time.monotonic()
        while self.thread.is_alive() and time.monotonic() < end:
            if until():
                return False
            self.thread.join(POLL)
            now = self._processor_time()
            if now is None or now > used + POLL / 10:
                used, since = now or 0.0, time.monotonic()
            elif time.monotonic() - since > BLOCKED_AFTER and self._waits_for_lock():
                return True
        return self.thread.is_alive()

    def _waits_for_lock(self) -> bool:
        """Whether the thread stands in `with lock`, or in a method that waits; a busy machine does not look so."""
        frame = sys._current_frames().get(self.thread.ident or 0)  # noqa: SLF001 - the documented way to see them
        if frame is None:
            return False
        if Path(frame.f_code.co_filename).name in {"threading.py", "queue.py", "_base.py"}:
            return True
        here = [found for found in dis.get_instructions(frame.f_code) if _line_of(found) == frame.f_lineno]
        if any(found.offset == frame.f_lasti and found.opname == "BEFORE_WITH" for found in here):
            return True
        return any(found.argval in WAITING_METHODS for found in here if isinstance(found.argval, str))

    def _processor_time(self) -> float | None:
        if self.thread.ident is None or not hasattr(time, "pthread_getcpuclockid"):
            return None
        with contextlib.suppress(OSError):
            return time.clock_gettime(time.pthread_getcpuclockid(self.thread.ident))
        return None


class Hold:
    """Stops a call right before, or right after, the n-th time it runs an instruction or a line; or both.

    With a `lock`, "after" is as soon as that lock is free again.
    """

    def __init__(self, site: Site, side: str, hit: int = 1, lock: object = None) -> None:
        self._site, self._hit, self._lock = site, hit, lock
        self._before, self._after = side in {"before", "both"}, side in {"after", "both"}
        self.stops = self._before + self._after
        self._hits = 0
        self._armed: FrameType | None = None
        self._held = 0
        self._freed = 0
        self._moved = threading.Condition()

    def reached(self, stops: int, seconds: float) -> bool:
        """Whether the call has come to its `stops`-th stop, waiting up to `seconds` for it."""
        with self._moved:
            return self._moved.wait_for(lambda: self._held >= stops, seconds)

    def go_on(self) -> None:
        """Let the call run on to its next stop, or to its end."""
        with self._moved:
            self._freed += 1
            self._moved.notify_all()

    def let_go(self) -> None:
        """Let the call run on to its end, past every stop."""
        with self._moved:
            self._freed = self.stops
            self._moved.notify_all()

    def install(self) -> None:
        sys.settrace(self._on_call)

    def _on_call(self, frame: FrameType, _event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function
        if frame.f_code is not self._site.code or self._held == self.stops:
            return None
        frame.f_trace_opcodes = self._site.offset >= 0
        return self._on_event

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function
        if self._held == self.stops:
            frame.f_trace_opcodes = False
            return None
        if self._armed is frame:
            self._stop_or_go_on(frame, event)
        elif self._is_here(frame, event):
            self._hits += 1
            if self._hits == self._hit:
                if self._before:
                    self._stop_here()
                if self._after:
                    self._armed = frame
        return self._on_event

    def _stop_or_go_on(self, frame: FrameType, event: str) -> None:
        if self._lock is None or not is_held(self._lock):
            self._armed = None
            self._stop_here()
        elif event == "return" and frame.f_back is not None:
            self._armed = frame.f_back  # the lock is released further out
            frame.f_back.f_trace = self._on_event
            frame.f_back.f_trace_opcodes = True

    def _is_here(self, frame: FrameType, event: str) -> bool:
        if self._site.offset >= 0:
            return event == "opcode" and frame.f_lasti == self._site.offset
        return event == "line" and frame.f_lineno == self._site.line

    def _stop_here(self) -> None:
        with self._moved:
            self._held += 1
            self._moved.notify_all()
            self._moved.wait_for(lambda: self._freed >= self._held, timeout=120)
            if self._held == self.stops:
                sys.settrace(None)  # nothing more to look for: the rest of the call runs at full speed


def run_together(call: Callable[[Any], Any], requests: Sequence[object], timeout: float) -> tuple[Outcome, ...]:
    """Start all requests at a barrier, one thread each, and wait; those still running are reported so."""
    barrier = threading.Barrier(len(requests))

    def ready() -> None:
        barrier.wait(timeout=60)

    workers = [Worker(call, request, ready).start() for request in requests]
    end = time.monotonic() + timeout
    return tuple(worker.wait(max(0.0, end - time.monotonic())) for worker in workers)
