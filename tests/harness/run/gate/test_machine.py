from __future__ import annotations

import os

import psutil
import pytest

from harness.run.gate import machine
from harness.run.gate.machine import Clocks, ClockWatch, ForeignLoad


class Hands:
    """Clocks that a test sets."""

    def __init__(self) -> None:
        self.day = self.steady = 1000.0

    def clocks(self) -> Clocks:
        return Clocks(lambda: self.day, lambda: self.steady)


def test_clocks_that_go_on_together_do_not_jump() -> None:
    hands = Hands()
    watch = ClockWatch(hands.clocks())
    hands.day += 25.0
    hands.steady += 25.0
    assert watch.jump_s() == pytest.approx(0.0)


@pytest.mark.parametrize("jump_s", [3600.0, -90.0])
def test_a_clock_that_was_set_is_told_from_one_that_went_on(jump_s: float) -> None:
    hands = Hands()
    watch = ClockWatch(hands.clocks())
    hands.day += 25.0 + jump_s
    hands.steady += 25.0
    assert watch.jump_s() == pytest.approx(jump_s)


def test_what_others_use_is_what_this_program_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    busy, own, now = iter((100.0, 103.0)), iter((10.0, 11.0)), iter((0.0, 2.0))
    monkeypatch.setattr(machine, "_busy_s", lambda: next(busy))
    monkeypatch.setattr(machine, "_own_s", lambda _pids: next(own))
    monkeypatch.setattr(machine, "_cores", lambda: [0, 1])
    monkeypatch.setattr("harness.run.gate.machine.time.monotonic", lambda: next(now))
    # 3 s busy, 1 of them ours, of the 4 that two cores have in 2 s.
    assert ForeignLoad(()).share() == pytest.approx(0.5)


def test_a_system_that_does_not_tell_is_not_guessed_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_times", lambda percpu: [])  # noqa: ARG005 - psutil's own name
    assert ForeignLoad((os.getpid(), 2**22 + 1)).share() is None


def test_a_share_is_a_share() -> None:
    share = ForeignLoad(()).share()
    assert share is None or 0.0 <= share <= 1.0
