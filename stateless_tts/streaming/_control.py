"""Ending a segment before it is finished."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from ._errors import SegmentTimeoutError

if TYPE_CHECKING:
    from ._errors import StreamingError


class SegmentControl:
    """What a worker asks, at every decoding step, whether to go on.

    Args:
        index: of the segment, for messages.
        timeout: seconds that it may take once it has begun.
    """

    def __init__(self, index: int, timeout: float) -> None:
        self._index = index
        self._timeout = timeout
        self._stop: StreamingError | None = None
        self.deadline: float | None = None

    def begin(self) -> None:
        """Start the clock; a retry starts it anew."""
        self.deadline = time.monotonic() + self._timeout

    def rest(self) -> None:
        """Stop the clock until the segment is begun again."""
        self.deadline = None

    def stop(self, error: StreamingError) -> None:
        """Let the next checkpoint raise `error`."""
        self._stop = error

    def checkpoint(self) -> None:
        """Raise if the segment was stopped or is overdue.

        Raises:
            StreamingError: what it was stopped with, or `SegmentTimeoutError`.
        """
        if self._stop is not None:
            raise self._stop
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise self.timeout_error()

    def timeout_error(self) -> SegmentTimeoutError:
        """Return the exception of a segment that is overdue."""
        return SegmentTimeoutError(f"segment {self._index} took longer than worker_timeout={self._timeout:g} s")
