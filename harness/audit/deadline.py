"""When a phase of the audit has to be over."""

from __future__ import annotations

import time

PATIENCE = 4.0


class Deadline:
    """A number of seconds of this process's own processor time.

    On a quiet machine that is at most so long on the clock; on a busy one the audit still gets to do its work,
    up to `patience` times as long.
    """

    def __init__(self, seconds: float, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._processor_end = time.process_time() + seconds
        self._end = time.monotonic() + patience * seconds

    def less(self, seconds: float) -> Deadline:
        """A deadline that ends `seconds` before this one."""
        return Deadline(self.left() - seconds, self._patience)

    def passed(self) -> bool:
        return self.left() <= 0

    def left(self) -> float:
        """Seconds of processor time left, at least 0."""
        clock = (self._end - time.monotonic()) / self._patience
        return max(0.0, min(self._processor_end - time.process_time(), clock))
