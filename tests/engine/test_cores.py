"""Cores are held by as many as they suffice for, and go to who brings requests together first."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from stateless_tts.engine._cores import Cores, Turn


def test_no_more_are_held_than_there_are() -> None:
    cores, lock = Cores(3), threading.Lock()
    held = most = 0

    def work(number: int) -> None:
        nonlocal held, most
        wanted = 1 + number % 3
        with cores.use(wanted, Turn(number % len(Turn))):
            with lock:
                held += wanted
                most = max(most, held)
            time.sleep(0.001)
            with lock:
                held -= wanted

    with ThreadPoolExecutor(8) as executor:
        list(executor.map(work, range(60)))
    assert most == 3
    with cores.use(3, Turn.DECODE, timeout=0) as all_are_free:
        assert all_are_free


def test_who_wants_more_than_there_are_gets_all() -> None:
    cores = Cores(2)
    with cores.use(5, Turn.RENDER) as held, cores.use(1, Turn.RENDER, timeout=0) as none_left:
        assert held
        assert not none_left


def test_a_rendering_that_waits_goes_before_a_step_that_has_waited_longer() -> None:
    cores, order = Cores(1), list[Turn]()

    def work(turn: Turn) -> None:
        with cores.use(1, turn):
            order.append(turn)

    with cores.use(1, Turn.DECODE):
        threads = [threading.Thread(target=work, args=(turn,)) for turn in (Turn.DECODE, Turn.RENDER, Turn.PREPARE)]
        for waiting, thread in enumerate(threads, 1):
            thread.start()
            while sum(cores._waiting.values()) < waiting:
                time.sleep(0.001)
    for thread in threads:
        thread.join(30)
    assert order == [Turn.PREPARE, Turn.RENDER, Turn.DECODE]


def test_waiting_ends_in_time_and_leaves_nothing_behind() -> None:
    cores = Cores(1)
    with cores.use(1, Turn.RENDER), cores.use(1, Turn.PREPARE, timeout=0.001) as in_time:
        assert not in_time
    with cores.use(1, Turn.DECODE, timeout=0) as free:
        assert free


def test_an_error_gives_the_cores_back() -> None:
    cores = Cores(2)
    with pytest.raises(ValueError, match="bad"), cores.use(2, Turn.RENDER):
        raise ValueError("bad")
    with cores.use(2, Turn.DECODE, timeout=0) as free:
        assert free
