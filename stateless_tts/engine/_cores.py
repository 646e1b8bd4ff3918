"""Whose turn it is to compute: the engine's threads take the machine's cores in turn, never against each other.

Each of the engine's operations, a decoding step, a prompt, a rendering, uses as many cores as it is given. Two of
them at once would have twice as many threads as there are cores, which wait for each other at the end of every
operation. How many cores an operation uses never depends on who else is busy, and so neither do its bits.

Who asks a GPU for something holds all cores meanwhile: threads that ask for one operation after the other would hand
Python's own lock to and fro at each of them.
"""

from __future__ import annotations

import threading
from collections import Counter
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class Turn(IntEnum):
    """Who goes first where several wait.

    What brings requests together goes before the step that they share: a request that is rendered makes room for the
    next, and one that is prepared joins the batch, while those in the batch lose nothing but time.
    """

    PREPARE = 0
    RENDER = 1
    DECODE = 2


class Cores:
    """A lock with places, and an order among those who wait.

    Args:
        count: cores there are to share, at least 1.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._free = count
        self._changed = threading.Condition()
        self._waiting: Counter[Turn] = Counter()

    @contextmanager
    def use(self, wanted: int, turn: Turn, timeout: float | None = None) -> Iterator[bool]:
        """Wait for `wanted` cores, or for all there are if they are fewer, and hold them.

        Args:
            wanted: how many.
            turn: what for.
            timeout: seconds to wait; None waits for as long as it takes.

        Yields:
            Whether they were free in time. If not, nothing is held.
        """
        wanted = min(wanted, self.count)
        with self._changed:
            self._waiting[turn] += 1
            try:
                held = self._changed.wait_for(lambda: self._may_begin(wanted, turn), timeout)
            finally:
                self._waiting[turn] -= 1
            if held:
                self._free -= wanted
            self._changed.notify_all()
        try:
            yield held
        finally:
            if held:
                with self._changed:
                    self._free += wanted
                    self._changed.notify_all()

    def _may_begin(self, wanted: int, turn: Turn) -> bool:
        return self._free >= wanted and not any(self._waiting[first] for first in Turn if first < turn)
