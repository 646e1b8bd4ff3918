"""Made once however many ask, hiding no failure, and leaving nobody waiting."""

from __future__ import annotations

import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from stateless_tts._single_flight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS = 16


class Shelf:
    """Keeps what is made under one name."""

    def __init__(self, lock: threading.Lock | None = None) -> None:
        self.kept: object | None = None
        self.asked = 0
        self.lock = lock or threading.Lock()
        self.flight: SingleFlight[object] = SingleFlight(self.lock)

    def get(self, make: Callable[[], object]) -> object:
        return self.flight.get("a", self._find, make, self._keep)

    def _find(self) -> object | None:
        self.asked += 1
        return self.kept

    def _keep(self, made: object) -> None:
        self.kept = made


class InterruptedLock:
    """A lock whose first holder is interrupted just after letting go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_due = True

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._is_due:
            self._is_due = False
            raise KeyboardInterrupt


def test_sixteen_callers_at_once_make_it_once() -> None:
    shelf = Shelf()
    everyone_asks = threading.Barrier(THREADS)
    makers = []
    may_finish = threading.Event()

    def make() -> object:
        makers.append(threading.get_ident())
        assert may_finish.wait(10)
        return object()

    def ask() -> object:
        everyone_asks.wait(10)
        return shelf.get(make)

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(ask) for _ in range(THREADS)]
        may_finish.set()
        made = {id(future.result(10)) for future in futures}
    assert len(makers) == 1
    assert len(made) == 1


def test_a_failure_reaches_who_waited_and_the_next_tries_again() -> None:
    shelf = Shelf()
    is_making, may_fail = threading.Event(), threading.Event()

    def fail() -> object:
        is_making.set()
        assert may_fail.wait(10)
        raise RuntimeError("broken clip")

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shelf.get, fail)
        assert is_making.wait(10)
        second = pool.submit(shelf.get, object)
        give_up = time.monotonic() + 10
        while shelf.asked < 2 and time.monotonic() < give_up:
            time.sleep(0.01)
        with shelf.lock:  # so that whoever asked second has seen that it is being made
            may_fail.set()
        assert isinstance(first.exception(10), RuntimeError)
        assert second.exception(10) is first.exception()
    assert shelf.get(object) is shelf.kept


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt])
def test_what_stops_the_thread_that_makes_stops_no_other(stop: type[BaseException]) -> None:
    shelf = Shelf()
    is_making, may_stop = threading.Event(), threading.Event()

    def be_stopped() -> object:
        is_making.set()
        assert may_stop.wait(10)
        raise stop

    def ask() -> None:
        with pytest.raises(stop):
            shelf.get(be_stopped)

    with ThreadPoolExecutor(3) as pool:
        stopped = pool.submit(ask)
        assert is_making.wait(10)
        waiting = [pool.submit(shelf.get, object) for _ in range(2)]
        may_stop.set()
        stopped.result(10)
        assert [future.result(10) for future in waiting] == [shelf.kept, shelf.kept]


def test_an_interrupt_before_it_is_made_leaves_nobody_waiting() -> None:
    shelf = Shelf(InterruptedLock())  # type: ignore[arg-type] # all that is done with it is enter it
    with pytest.raises(KeyboardInterrupt):
        shelf.get(object)
    assert not shelf.flight._under_way
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(shelf.get, object).result(10) is shelf.kept


def test_a_cancellation_that_making_raises_is_raised() -> None:
    def fail() -> object:
        raise CancelledError("of something else")

    with pytest.raises(CancelledError, match="of something else"):
        Shelf().get(fail)


def test_what_was_forgotten_meanwhile_is_returned_and_not_kept() -> None:
    shelf, made = Shelf(), object()

    def make() -> object:
        with shelf.lock:
            shelf.flight.forget()
        return made

    assert shelf.get(make) is made
    assert shelf.kept is None
