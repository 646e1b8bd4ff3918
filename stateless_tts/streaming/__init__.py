"""Many segments, several workers, one model per language; one result for every segment."""

from __future__ import annotations

from ._adapter import SegmentAudio, StreamingEngineAdapter, go_on, segment_seed
from ._chatterbox import ChatterBoxStreamingAdapter, is_multilingual
from ._control import SegmentControl
from ._coordinator import StreamingCoordinator, StreamingRun
from ._errors import (
    ProcessorClosedError,
    SegmentCancelledError,
    SegmentTimeoutError,
    StreamingError,
    StreamingStartError,
    UnusableAudioError,
    WorkerDiedError,
)
from ._processor import TrueStreamingProcessor
from ._types import MAX_WORKERS, StreamingConfig, StreamingMetrics, StreamingResult, StreamingSegment
from ._worker import StreamingWorker, WorkItem

__all__ = [
    "MAX_WORKERS",
    "ChatterBoxStreamingAdapter",
    "ProcessorClosedError",
    "SegmentAudio",
    "SegmentCancelledError",
    "SegmentControl",
    "SegmentTimeoutError",
    "StreamingConfig",
    "StreamingCoordinator",
    "StreamingEngineAdapter",
    "StreamingError",
    "StreamingMetrics",
    "StreamingResult",
    "StreamingRun",
    "StreamingSegment",
    "StreamingStartError",
    "StreamingWorker",
    "TrueStreamingProcessor",
    "UnusableAudioError",
    "WorkItem",
    "WorkerDiedError",
    "go_on",
    "is_multilingual",
    "segment_seed",
]
