"""How many calls can be under way at once: whether they wait for each other can be counted, without a clock."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Far longer than eight calls of a tiny model take to their first decoding step, on a loaded machine too.
PATIENCE_S = 30.0


class Meeting:
    """Calls wait for each other in their midst, until all of them are there or one has waited for too long.

    Args:
        expected: how many calls there are.
        patience_s: seconds to wait for the others; after the first wait in vain nobody waits any more.

    Attributes:
        most: the most calls that were there at once.
    """

    def __init__(self, expected: int, patience_s: float = PATIENCE_S) -> None:
        self.most = 0
        self._expected = expected
        self._patience_s = patience_s
        self._present = 0
        self._over = False
        self._changed = threading.Condition()

    @contextmanager
    def place(self) -> Iterator[Callable[[], None]]:
        """Give one call its place; what it is to call in its midst, any number of times, makes it arrive."""
        arrived = False

        def arrive() -> None:
            nonlocal arrived
            if not arrived:
                arrived = True
                self._arrive()

        try:
            yield arrive
        finally:
            if arrived:
                with self._changed:
                    self._present -= 1

    def _arrive(self) -> None:
        with self._changed:
            self._present += 1
            self.most = max(self.most, self._present)
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._over or self.most == self._expected, self._patience_s):
                self._over = True
                self._changed.notify_all()
