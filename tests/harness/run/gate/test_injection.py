from __future__ import annotations

from types import SimpleNamespace

import pytest

from harness.run.gate import injection as module
from harness.run.gate.injection import SlowedStage


class Hands:
    """A thread's processor time, moved by whoever works."""

    def __init__(self) -> None:
        self.now = 0.0

    def thread_time(self) -> float:
        self.now += 1e-4
        return self.now


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    made = Hands()
    monkeypatch.setattr(module, "time", SimpleNamespace(thread_time=made.thread_time))
    return made


@pytest.mark.parametrize("share", [0.0, 0.1, 0.3])
def test_the_whole_call_takes_that_much_longer(hands: Hands, share: float) -> None:
    def stage(value: int) -> int:
        hands.now += 1.0
        return value + 1

    model = SimpleNamespace(s3gen=SimpleNamespace(hift_inference=stage))
    slowed = SlowedStage(model)

    def call() -> int:
        hands.now += 3.0
        return int(model.s3gen.hift_inference(1))

    slowed.calibrate(call)
    slowed.share = share
    began = hands.now
    assert call() == 2
    # The stage is a quarter of the call, and takes four times the share longer.
    assert hands.now - began == pytest.approx(4.0 * (1 + share), abs=0.01)
