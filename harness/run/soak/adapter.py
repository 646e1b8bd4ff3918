"""All families behind one adapter, and another around it that makes segments fail as planned."""

from __future__ import annotations

import ctypes
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

from harness.run.soak import schedule
from harness.run.soak.trips import InjectedDeath, InjectedError, Trips
from stateless_tts import ConversionRequest
from stateless_tts.streaming import ChatterBoxStreamingAdapter, SegmentAudio, StreamingEngineAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.run.soak.schedule import PlannedSegment
    from stateless_tts import StatelessChatterBoxWrapper
    from stateless_tts.streaming import StreamingSegment

_STALL_STEP_S = 0.02
# From the second checkpoint on, a call is past its voice and at work.
_AT_WORK = 2
_MOST_HANGING_S = 120.0


class MixedAdapter(StreamingEngineAdapter):
    """Speaks each segment with the wrapper of the family that its metadata names."""

    engine_name = "all families"
    parameter_names = ChatterBoxStreamingAdapter.parameter_names

    def __init__(self, wrappers: Mapping[str, StatelessChatterBoxWrapper]) -> None:
        self._wrappers = dict(wrappers)
        self._speaking = {name: ChatterBoxStreamingAdapter(wrapper) for name, wrapper in wrappers.items()}

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        told = segment.metadata or {}
        if not told.get("recording"):
            return self._speaking[told["family"]].speak_segment(segment, parameters, checkpoint)
        request = ConversionRequest(told["recording"], segment.voice_path, parameters["seed"])
        spoken = self._wrappers[told["family"]].synthesize(request, checkpoint=checkpoint)
        return SegmentAudio(spoken.audio, spoken.sample_rate, {"seed": spoken.seed})


class FaultyAdapter(StreamingEngineAdapter):
    """Speaks with `inner`, and lets each segment meet the fault that is planned for it.

    Use it as a context manager: on the way out nothing of it is left, neither what hangs nor a killer.

    Args:
        inner: the engine.
        plan: the segments by index.
        trips: places in the engine's models.
        spoiled: makes a clip that nobody else uses, for a segment whose voice is to fail.
    """

    def __init__(
        self,
        inner: StreamingEngineAdapter,
        plan: Mapping[int, PlannedSegment],
        trips: Trips,
        spoiled: Callable[[int], Path],
    ) -> None:
        self.engine_name = inner.engine_name
        self.parameter_names = inner.parameter_names
        self.fired: list[tuple[int, str]] = []
        self._inner = inner
        self._plan = plan
        self._trips = trips
        self._spoiled = spoiled
        self._lock = threading.Lock()
        self._at_work: dict[int, int] = {}
        self._killers: list[threading.Timer] = []
        self._let_go = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()
        for killer in self._killers:
            killer.cancel()
            killer.join()

    def release(self) -> None:
        """Let go on what hangs; nothing hangs from now on."""
        self._let_go.set()

    def note(self, index: int, fault: str) -> None:
        """Write down that `fault` has happened to segment `index`."""
        with self._lock:
            self.fired.append((index, fault))

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        planned = self._plan[segment.index]
        fault = planned.fault
        stage = next((name for name, kind in schedule.RAISES.items() if kind == fault), planned.stage)
        if stage == "voice":
            segment = replace(segment, voice_path=self._spoiled(segment.index))
        if fault in (schedule.STALLS, schedule.HANGS):
            checkpoint = self._waiting(planned, checkpoint)
        if fault == schedule.KILLED_OUTSIDE and not self._has_fired(planned):
            return self._killed(planned, segment, parameters, checkpoint)
        if not stage or (fault == schedule.KILLED_ONCE and self._has_fired(planned)):
            return self._inner.speak_segment(segment, parameters, checkpoint)
        with self._trips.armed(stage, lambda: self._fail(planned, stage)):
            return self._inner.speak_segment(segment, parameters, checkpoint)

    def _fail(self, planned: PlannedSegment, stage: str) -> None:
        self.note(planned.index, planned.fault)
        if planned.fault in (schedule.KILLED_ONCE, schedule.KILLED_TWICE):
            raise InjectedDeath(f"segment {planned.index}: the worker dies in {stage}")
        raise InjectedError(f"segment {planned.index}: injected in {stage}")

    def _has_fired(self, planned: PlannedSegment) -> bool:
        with self._lock:
            return (planned.index, planned.fault) in self.fired

    def _waiting(self, planned: PlannedSegment, checkpoint: Callable[[], None]) -> Callable[[], None]:
        """Return a checkpoint that is not left: with looking for an end, or without."""

        def wait() -> None:
            if self._let_go.is_set():
                checkpoint()
                return
            if not self._has_fired(planned):
                self.note(planned.index, planned.fault)
            if planned.fault == schedule.HANGS:
                self._let_go.wait(_MOST_HANGING_S)
            while not self._let_go.wait(_STALL_STEP_S):
                checkpoint()

        return wait

    def _killed(
        self,
        planned: PlannedSegment,
        segment: StreamingSegment,
        parameters: Mapping[str, Any],
        checkpoint: Callable[[], None],
    ) -> SegmentAudio:
        """Speak, and be killed from another thread at some moment; never when the segment is left already."""
        me = threading.get_ident()
        checkpoints = iter(range(1, _AT_WORK + 1))

        def kill() -> None:
            with self._lock:
                if self._at_work.get(planned.index) == me:
                    self.fired.append((planned.index, planned.fault))
                    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(me), ctypes.py_object(SystemExit))

        def start_killer() -> None:
            checkpoint()
            if next(checkpoints, 0) == _AT_WORK:
                killer = threading.Timer(0.001 * (planned.index % 7), kill)
                killer.daemon = True
                self._killers.append(killer)
                killer.start()

        with self._lock:
            self._at_work[planned.index] = me
        try:
            return self._inner.speak_segment(segment, parameters, start_killer)
        finally:
            with self._lock:
                self._at_work.pop(planned.index, None)
