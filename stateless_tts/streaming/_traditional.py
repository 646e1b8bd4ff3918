"""Traditional mode: one segment after the other, on the caller's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ._control import SegmentControl

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._adapter import StreamingEngineAdapter
    from ._types import StreamingConfig, StreamingMetrics, StreamingResult, StreamingSegment


def speak_one_by_one(
    segments: Iterable[StreamingSegment],
    adapter: StreamingEngineAdapter,
    config: StreamingConfig,
    parameters: Mapping[str, Any],
    metrics: StreamingMetrics,
) -> Iterator[StreamingResult]:
    """Yield one result for each segment, in text order; counts go to `metrics`. The time-out applies here too."""
    metrics.mode = "traditional"
    metrics.workers = 0
    began = time.perf_counter()
    for segment in segments:
        control = SegmentControl(segment.index, config.worker_timeout)
        control.begin()
        result = adapter.process_segment(segment, checkpoint=control.checkpoint, **parameters)
        metrics.add_result(result)
        metrics.wall_time = time.perf_counter() - began
        yield result
