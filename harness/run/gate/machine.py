"""What goes on around a measurement: what other programs use of the cores, and whether a clock was set."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Clocks:
    """The clocks a measurement is watched with; a test brings its own.

    Attributes:
        day: the time of day, seconds; somebody may set it.
        steady: seconds that nobody can set.
    """

    day: Callable[[], float] = field(default=time.time)
    steady: Callable[[], float] = field(default=time.monotonic)


class ClockWatch:
    """Tells by how much the time of day and the steady clock disagree since it was made."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._day, self._steady = clocks.day(), clocks.steady()

    def jump_s(self) -> float:
        """Seconds by which the time of day was set forward (or back, below 0) meanwhile."""
        return (self._clocks.day() - self._day) - (self._clocks.steady() - self._steady)


class ForeignLoad:
    """Tells which share of the cores others than `pids` and this process used since it was made."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = (os.getpid(), *pids)
        self._busy, self._own, self._began = _busy_s(), _own_s(self._pids), time.monotonic()

    def share(self) -> float | None:
        """Return the share, 0 to 1; None where the system does not tell."""
        busy, elapsed = _busy_s(), time.monotonic() - self._began
        if busy is None or self._busy is None or elapsed <= 0:
            return None
        foreign = (busy - self._busy) - (_own_s(self._pids) - self._own)
        return max(0.0, min(1.0, foreign / (elapsed * len(_cores()))))


def _cores() -> Sequence[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return range(os.cpu_count() or 1)


def _busy_s() -> float | None:
    """Seconds that the cores this program may use were busy, all together."""
    times = psutil.cpu_times(percpu=True)
    if not times or max(_cores()) >= len(times):
        return None
    total = 0.0
    for core in _cores():
        one = times[core]
        total += sum(one) - one.idle - getattr(one, "iowait", 0.0)
        # Linux counts a guest's time as the user's as well.
        total -= getattr(one, "guest", 0.0) + getattr(one, "guest_nice", 0.0)
    return total


def _own_s(pids: Sequence[int]) -> float:
    total = 0.0
    for pid in pids:
        try:
            used = psutil.Process(pid).cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += used.user + used.system
    return total
