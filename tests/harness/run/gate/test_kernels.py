from __future__ import annotations

import time
from typing import TYPE_CHECKING

from harness.run.gate.kernels import ARITHMETIC, MEMORY, ControlKernels

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest


def test_both_kernels_take_time() -> None:
    seconds = ControlKernels().time_both()
    assert set(seconds) == {MEMORY, ARITHMETIC}
    assert min(seconds.values()) > 0


def test_an_interruption_does_not_move_it(monkeypatch: pytest.MonkeyPatch) -> None:
    kernels, now = ControlKernels(), [0.0]
    lasts = iter([1.0, 1.0, 50.0, *[1.0] * 12])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr("torch.mm", lambda *_pair, out: out)
    monkeypatch.setattr(kernels, "_block", Sleeper(lasts, now))
    assert kernels.time_both()[MEMORY] == 1.0


class Sleeper:
    """Stands in for a block of memory, each reading of which takes as long as it is told to."""

    def __init__(self, lasts: Iterator[float], now: list[float]) -> None:
        self._lasts, self._now = lasts, now

    def sum(self) -> None:
        self._now[0] += next(self._lasts)
