"""Traditional mode: one segment after the other, on the caller's thread."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ._control import SegmentControl
from ._errors import SegmentCancelledError
from ._types import check_segment
from ._worker import WorkItem, speak

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from ._adapter import StreamingEngineAdapter
    from ._types import StreamingConfig, StreamingMetrics, StreamingResult, StreamingSegment


class OneByOne:
    """Speaks segments when their results are asked for. The time-out applies here too.

    What is no `Exception`, such as Ctrl-C or `SystemExit`, is the caller's, and goes through.

    Args:
        segments: in text order.
        adapter: the engine.
        config: see `StreamingConfig`.
        parameters: for all segments.
        metrics: counts go there.
    """

    def __init__(
        self,
        segments: Iterable[StreamingSegment],
        adapter: StreamingEngineAdapter,
        config: StreamingConfig,
        parameters: Mapping[str, Any],
        metrics: StreamingMetrics,
    ) -> None:
        self._segments = segments
        self._adapter = adapter
        self._config = config
        self._parameters = parameters
        self._metrics = metrics
        self._current: WorkItem | None = None
        self._cancelled: set[int | None] = set()

    def cancel(self, index: int | None = None) -> int:
        """Cancel the segments named `index`, or all; returns 1 if the one being spoken is among them, else 0."""
        self._cancelled.add(index)
        current = self._current
        if current is None or index not in (None, current.segment.index):
            return 0
        current.control.stop(_cancelled(current.segment))
        return 1

    def results(self) -> Iterator[StreamingResult]:
        """Yield one result for each segment, in text order."""
        self._metrics.mode = "traditional"
        self._metrics.workers = 0
        began = time.perf_counter()
        for segment in self._segments:
            check_segment(segment)
            self._current = item = WorkItem(segment, SegmentControl(segment.index, self._config.worker_timeout))
            if self._cancelled & {None, segment.index}:
                item.control.stop(_cancelled(segment))
            result = speak(self._adapter, item, self._parameters)
            self._current = None
            self._metrics.add_result(result)
            self._metrics.wall_time = time.perf_counter() - began
            yield result


def _cancelled(segment: StreamingSegment) -> SegmentCancelledError:
    return SegmentCancelledError(f"segment {segment.index} was cancelled")
