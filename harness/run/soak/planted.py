"""Defects of the kind that a soak is for, planted to see whether it would catch them."""

from __future__ import annotations

import mmap
import threading
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from stateless_tts.streaming import StreamingEngineAdapter, TrueStreamingProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from harness.run.soak.rounds import Stage
    from stateless_tts.streaming import SegmentAudio, StreamingResult, StreamingSegment

_VICTIM = 2
# Over its rounds twice what counts as growth in a process of 2 GiB; rounds differ by a tenth of a MiB.
_LEAKED_BYTES = 8 * 2**20


@dataclass(frozen=True)
class Defect:
    """A planted defect.

    Attributes:
        name: of it.
        caught_by: the check that has to speak up.
        rounds: how many it takes to be seen.
        plant: makes a defective stage of a sound one, and mends it on the way out.
    """

    name: str
    caught_by: str
    rounds: int
    plant: Callable[[Stage], Any]


class _LosingProcessor(TrueStreamingProcessor):
    """Forgets one result."""

    def process(self, segments: Iterable[StreamingSegment], *, in_order: bool = False) -> Iterator[StreamingResult]:
        return (result for result in super().process(segments, in_order=in_order) if result.index != _VICTIM)


class _DoublingProcessor(TrueStreamingProcessor):
    """Gives one result twice."""

    def process(self, segments: Iterable[StreamingSegment], *, in_order: bool = False) -> Iterator[StreamingResult]:
        for result in super().process(segments, in_order=in_order):
            yield result
            if result.index == _VICTIM:
                yield result


class _Around(StreamingEngineAdapter):
    """An engine around another, to be made defective."""

    def __init__(self, inner: StreamingEngineAdapter) -> None:
        self.engine_name = inner.engine_name
        self.parameter_names = inner.parameter_names
        self.inner = inner

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        return self.spoil(segment, self.inner.speak_segment(segment, parameters, checkpoint))

    def spoil(self, segment: StreamingSegment, spoken: SegmentAudio) -> SegmentAudio:
        """Do what is defective."""
        raise NotImplementedError


class _SilentEngine(_Around):
    """Speaks almost nothing in place of one segment: no digital silence, but nobody would hear it."""

    def spoil(self, segment: StreamingSegment, spoken: SegmentAudio) -> SegmentAudio:
        return replace(spoken, audio=spoken.audio * 1e-7) if segment.index == _VICTIM else spoken


class _WrongBitEngine(_Around):
    """Changes the last bit of one sample of one segment."""

    def spoil(self, segment: StreamingSegment, spoken: SegmentAudio) -> SegmentAudio:
        if segment.index != _VICTIM:
            return spoken
        audio = spoken.audio.clone()
        audio[0, -1] = torch.nextafter(audio[0, -1], torch.tensor(2.0))
        return replace(spoken, audio=audio)


class _ThreadLeakingEngine(_Around):
    """Leaves a thread behind."""

    def __init__(self, inner: StreamingEngineAdapter) -> None:
        super().__init__(inner)
        self.end = threading.Event()

    def spoil(self, segment: StreamingSegment, spoken: SegmentAudio) -> SegmentAudio:
        if segment.index == _VICTIM:
            threading.Thread(target=self.end.wait, name="leaked", daemon=True).start()
        return spoken


class _MemoryLeakingEngine(_Around):
    """Keeps some memory in every round."""

    def __init__(self, inner: StreamingEngineAdapter) -> None:
        super().__init__(inner)
        self.kept: list[torch.Tensor] = []

    def spoil(self, segment: StreamingSegment, spoken: SegmentAudio) -> SegmentAudio:
        if segment.index == _VICTIM:
            # Of the system: a heap may have as much room left over from before, and would not grow by it.
            self.kept.append(torch.frombuffer(mmap.mmap(-1, _LEAKED_BYTES), dtype=torch.uint8).fill_(1))
        return spoken


def _with_engine(make: Callable[[StreamingEngineAdapter], StreamingEngineAdapter]) -> Callable[[Stage], Any]:
    @contextmanager
    def plant(stage: Stage) -> Iterator[Stage]:
        engine = make(stage.engine)
        try:
            yield replace(stage, engine=engine)
        finally:
            if isinstance(engine, _ThreadLeakingEngine):
                engine.end.set()

    return plant


def _with_processor(processor: type[TrueStreamingProcessor]) -> Callable[[Stage], Any]:
    @contextmanager
    def plant(stage: Stage) -> Iterator[Stage]:
        yield replace(stage, processor=processor)

    return plant


DEFECTS = (
    Defect("lost result", "lost", 1, _with_processor(_LosingProcessor)),
    Defect("duplicate", "duplicates", 1, _with_processor(_DoublingProcessor)),
    Defect("silent audio", "silent", 1, _with_engine(_SilentEngine)),
    Defect("wrong bit", "different", 1, _with_engine(_WrongBitEngine)),
    Defect("leaked thread", "threads", 1, _with_engine(_ThreadLeakingEngine)),
    Defect("leaked memory", "memory", 7, _with_engine(_MemoryLeakingEngine)),
)
