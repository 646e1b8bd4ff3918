"""Engines for the tests: one made of arithmetic that does as it is told, and the real classes at tiny size."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch

from stateless_tts.streaming import SegmentAudio, StreamingEngineAdapter, StreamingSegment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Script = Callable[[StreamingSegment, Callable[[], None]], None]

SAMPLE_RATE = 1000
PATIENCE_SECONDS = 30.0


class ScriptedAdapter(StreamingEngineAdapter):
    """Audio from text and seed alone; what else happens to a segment is scripted by its index."""

    engine_name = "scripted"
    parameter_names = frozenset({"seed", "loudness"})

    def __init__(self, scripts: Mapping[int, Script] | None = None) -> None:
        self.scripts = dict(scripts or {})
        self.spoken: list[int] = []
        self.threads: set[int] = set()
        self.preloaded: list[str] = []
        self._lock = threading.Lock()

    def preload_models(self, languages: Iterable[str], device: str = "auto") -> None:  # noqa: ARG002 - the seam's signature
        self.preloaded.extend(languages)

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        with self._lock:
            self.spoken.append(segment.index)
            self.threads.add(threading.get_ident())
        script = self.scripts.get(segment.index)
        if script is not None:
            script(segment, checkpoint)
        generator = torch.Generator().manual_seed(parameters["seed"])
        noise = torch.randn(1, 100 + len(segment.text), generator=generator)
        return SegmentAudio(noise * parameters.get("loudness", 1.0), SAMPLE_RATE)


class Killed(BaseException):
    """Stands for what ends a thread from outside."""


def die(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
    """Kill the worker."""
    raise Killed


def die_first() -> Script:
    """Kill the first worker that speaks the segment, and no other."""
    tries = iter([die])

    def script(segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
        next(tries, _speak_on)(segment, checkpoint)

    return script


def _speak_on(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
    pass


def fail(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
    """Fail the segment."""
    raise OSError("no space left\n on device")


def until_stopped(_segment: StreamingSegment, checkpoint: Callable[[], None]) -> None:
    """Go on for ever, as a well-behaved engine does: with checkpoints."""
    pause = threading.Event()
    while True:
        checkpoint()
        pause.wait(0.002)


def until(event: threading.Event) -> Script:
    """Wait for `event`, without checkpoints: as an engine that hangs."""

    def script(_segment: StreamingSegment, _checkpoint: Callable[[], None]) -> None:
        assert event.wait(PATIENCE_SECONDS)

    return script


def segments(count: int, **fields: Any) -> list[StreamingSegment]:  # noqa: ANN401 - fields of StreamingSegment
    """Return `count` segments with texts of different lengths."""
    return [StreamingSegment(index, f"Text {'x' * index}.", **fields) for index in range(count)]


def streaming_threads() -> list[str]:
    """Return the names of the threads of streaming that run."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("streaming-")]
