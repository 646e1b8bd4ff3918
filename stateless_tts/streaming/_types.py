"""What goes into streaming and what comes out; the names and fields are those that TTS-Audio-Suite made known."""

from __future__ import annotations

import operator
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stateless_tts._kept_exceptions import forget_frames
from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Hashable

    import torch

    from stateless_tts.voice import Voice

MAX_WORKERS = 16


@dataclass(frozen=True)
class StreamingSegment:
    """A piece of text to be spoken in one go.

    Attributes:
        index: names the segment in results; segments are in text order as they are given, whatever their indices.
        text: what to say.
        character: who says it; carried through to the result.
        language: code or name of the language, as the engine's models are named.
        voice_path: reference clip, an already prepared `Voice`, or None (also ``""`` and ``"none"``) for the default.
        metadata: carried through to the result. Entries named like one of the engine's parameters (``seed``,
            ``temperature``, ...) override it for this segment.

    Raises:
        InvalidParameterError: the index is no integer, the language no string, or the metadata no mapping.
    """

    index: int
    text: str
    character: str = "narrator"
    language: str = "en"
    voice_path: str | os.PathLike[str] | Voice | None = None
    metadata: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        try:
            operator.index(self.index)
        except TypeError:
            raise InvalidParameterError(f"index={self.index!r}: expected an integer") from None
        if not isinstance(self.language, str):
            raise InvalidParameterError(f"segment {self.index}: language={self.language!r}: expected a code or a name")
        if self.metadata is not None and not isinstance(self.metadata, Mapping):
            raise InvalidParameterError(f"segment {self.index}: metadata={self.metadata!r}: expected a mapping")

    @property
    def group(self) -> Hashable:
        """What segments have in common that are best spoken one after the other: language and voice.

        Paths are compared by value. Comparing other voices may raise, or mean something else.
        """
        voice = self.voice_path
        return self.language, voice if isinstance(voice, str | os.PathLike | None) else id(voice)


@dataclass(frozen=True)
class StreamingResult:
    """What became of a segment: audio, or the exception it failed with, never both.

    Attributes:
        index: that of the segment.
        audio: float32 of shape (1, samples) on the CPU; None if the segment failed.
        duration: length of the audio in seconds; 0 if the segment failed.
        character: that of the segment.
        language: that of the segment.
        processing_time: wall time spent on it by its worker, in seconds.
        worker_id: who spoke it; -1 if nobody did.
        success: whether there is audio.
        error_msg: one line; empty on success.
        metadata: that of the segment, and what the engine adds (``seed``, ``sample_rate``).
        error: the exception that the segment failed with.
    """

    index: int
    audio: torch.Tensor | None
    duration: float
    character: str
    language: str
    processing_time: float
    worker_id: int
    success: bool = True
    error_msg: str = ""
    metadata: Mapping[str, Any] | None = None
    error: BaseException | None = None

    @classmethod
    def failure(
        cls, segment: StreamingSegment, error: BaseException, *, worker_id: int = -1, processing_time: float = 0.0
    ) -> StreamingResult:
        """Return the result of a segment that failed with `error`.

        The exception keeps the lines of its traceback as a note, and loses the traceback: a failure that is kept must
        not keep the tensors of the call that it ended.
        """
        forget_frames(error)
        return cls(
            index=segment.index,
            audio=None,
            duration=0.0,
            character=segment.character,
            language=segment.language,
            processing_time=processing_time,
            worker_id=worker_id,
            success=False,
            error_msg=one_line(error),
            metadata=dict(segment.metadata or {}),
            error=error,
        )


@dataclass(frozen=True)
class StreamingConfig:
    """How segments are worked on.

    Attributes:
        batch_size: workers wanted; 0 is traditional mode, one segment after the other on the caller's thread.
        enable_model_preloading: load the models of all languages before the first segment.
        fallback_to_traditional: if the workers cannot be started or the models not preloaded, go on in traditional
            mode and say so, instead of raising.
        streaming_threshold: with fewer segments than this, traditional mode is used.
        max_workers: most workers, 1 to 16.
        worker_timeout: seconds that one segment may take, retries not counted.
        engine_config: for the engine; not read here.
        max_pending: most segments that have been accepted and whose result has not been taken: with these the queues
            are full, and submitting waits.
        timeout_grace: seconds that an overdue segment has to end by itself. After that it is failed, and its worker
            is given up and replaced.
        shutdown_timeout: seconds that `shutdown` waits for the workers.
    """

    batch_size: int = 4
    enable_model_preloading: bool = True
    fallback_to_traditional: bool = True
    streaming_threshold: int = 1
    max_workers: int = 12
    worker_timeout: float = 300.0
    engine_config: Mapping[str, Any] | None = None
    max_pending: int = 64
    timeout_grace: float = 10.0
    shutdown_timeout: float = 30.0

    def __post_init__(self) -> None:
        _check_count("batch_size", self.batch_size, 0)
        _check_count("streaming_threshold", self.streaming_threshold, 0)
        _check_count("max_workers", self.max_workers, 1, MAX_WORKERS)
        _check_count("max_pending", self.max_pending, 1)
        for name in ("worker_timeout", "timeout_grace", "shutdown_timeout"):
            value = getattr(self, name)
            longest = threading.TIMEOUT_MAX / 2  # what threads can wait for, and may be added to a time
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < longest:
                raise InvalidParameterError(
                    f"{name}={value!r}: expected a number of seconds above 0 and below {longest:g}"
                )

    @property
    def workers(self) -> int:
        """How many workers that makes; 0 in traditional mode."""
        return min(self.batch_size, self.max_workers)


@dataclass
class StreamingMetrics:
    """Counts of one run, kept by the one who consumes its results.

    Attributes:
        total_segments: results seen, successes and failures.
        completed_segments: successes.
        failed_segments: failures.
        total_audio_duration: seconds of audio.
        total_processing_time: seconds of work, summed over workers.
        wall_time: seconds from the start to the last result.
        mode: ``"streaming"`` or ``"traditional"``.
        workers: how many; 0 in traditional mode.
        workers_replaced: workers that died or had to be given up.
        retried_segments: segments that were given to a second worker.
        fallback_reason: why traditional mode was used although streaming was asked for; empty otherwise.
        base_seed: what the segments' seeds are derived from.
        failures: the failed results.
    """

    total_segments: int = 0
    completed_segments: int = 0
    failed_segments: int = 0
    total_audio_duration: float = 0.0
    total_processing_time: float = 0.0
    wall_time: float = 0.0
    mode: str = "streaming"
    workers: int = 0
    workers_replaced: int = 0
    retried_segments: int = 0
    fallback_reason: str = ""
    base_seed: int = 0
    failures: list[StreamingResult] = field(default_factory=list)

    @property
    def throughput(self) -> float:
        """Completed segments per second of wall time."""
        return self.completed_segments / self.wall_time if self.wall_time > 0 else 0.0

    @property
    def audio_throughput(self) -> float:
        """Seconds of audio per second of wall time."""
        return self.total_audio_duration / self.wall_time if self.wall_time > 0 else 0.0

    def add_result(self, result: StreamingResult) -> None:
        """Count `result`."""
        self.total_segments += 1
        self.total_processing_time += result.processing_time
        if result.success:
            self.completed_segments += 1
            self.total_audio_duration += result.duration
        else:
            self.failed_segments += 1
            self.failures.append(result)


def check_segment(segment: object) -> None:
    """Raise `InvalidParameterError` for what is no segment."""
    if not isinstance(segment, StreamingSegment):
        raise InvalidParameterError(f"{segment!r}: expected a StreamingSegment")


def one_line(error: BaseException) -> str:
    """Return what `error` says, on one line; its type if it says nothing, or cannot."""
    try:
        return " ".join(str(error).split()) or type(error).__name__
    except Exception:  # noqa: BLE001 - an exception of whatever kind has a method of its own that fails
        return type(error).__name__


def _check_count(name: str, value: object, low: int, high: int | None = None) -> None:
    accepted = f"an integer of at least {low}" if high is None else f"an integer from {low} to {high}"
    if not isinstance(value, int) or isinstance(value, bool) or value < low or (high is not None and value > high):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}")
