"""What many ask for at once is made once."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Hashable

_Made = TypeVar("_Made")


class SingleFlight(Generic[_Made]):
    """Lets the first who asks for something make it, while others who ask wait for it.

    Args:
        lock: guards this and what its owner keeps.
    """

    def __init__(self, lock: threading.Lock) -> None:
        self._lock = lock
        self._under_way: dict[Hashable, Future[_Made]] = {}

    def get(
        self,
        key: Hashable,
        find: Callable[[], _Made | None],
        make: Callable[[], _Made],
        keep: Callable[[_Made], None],
    ) -> _Made:
        """Return what is kept under `key`; if that is nothing, make and keep it.

        An exception of `make` reaches all who waited, and the next who asks tries again. What only stops the thread
        that makes (`KeyboardInterrupt`, `SystemExit`) stays there, and one who waited makes it instead.

        Args:
            key: tells apart what is made.
            find: returns what is kept, or None; called with the lock held.
            make: makes it, without the lock.
            keep: keeps what was made, if its owner wants to; called with the lock held.
        """
        while True:
            mine: Future[_Made] = Future()
            try:  # from before `mine` can be seen: an interrupt at any moment must leave nobody waiting
                with self._lock:
                    found = find()
                    if found is not None:
                        return found
                    pending = self._under_way.get(key)
                    if pending is None or pending.done():
                        pending = self._under_way[key] = mine
                if pending is mine:
                    return self._make(key, make, keep, mine)
            finally:
                mine.cancel()  # unless it is done
                with self._lock:
                    if self._under_way.get(key) is mine:
                        del self._under_way[key]
            try:
                return pending.result()
            except CancelledError:
                if not pending.cancelled():  # `make` raised it
                    raise

    def forget(self) -> None:
        """Let what is being made reach those who wait for it, and not be kept; called with the lock held."""
        self._under_way.clear()

    def _make(
        self, key: Hashable, make: Callable[[], _Made], keep: Callable[[_Made], None], mine: Future[_Made]
    ) -> _Made:
        try:
            made = make()
        except Exception as error:
            mine.set_exception(error)
            raise
        with self._lock:
            if self._under_way.get(key) is mine:
                keep(made)
        mine.set_result(made)
        return made
