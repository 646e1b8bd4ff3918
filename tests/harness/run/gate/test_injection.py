from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from harness.run.gate import injection as module
from harness.run.gate.injection import SlowedStage, StageNotSeenError
from stateless_tts.private import with_private


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
    class S3Gen:
        def hift_inference(self, value: int) -> int:
            hands.now += 1.0
            return value + 1

    model = SimpleNamespace(s3gen=S3Gen())
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


def test_a_view_that_is_made_afterwards_runs_its_own_modules(hands: Hands) -> None:
    class S3Gen(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mel2wav: torch.nn.Module = torch.nn.Identity()

        def hift_inference(self, value: int) -> int:
            hands.now += 1.0
            return int(self.mel2wav(torch.tensor(value)))

    class Twice(torch.nn.Module):
        def forward(self, value: torch.Tensor) -> torch.Tensor:
            return 2 * value

    model = SimpleNamespace(s3gen=S3Gen())
    slowed = SlowedStage(model)
    view = with_private(model.s3gen, ["mel2wav"])
    view.mel2wav = Twice()
    assert (model.s3gen.hift_inference(3), view.hift_inference(3)) == (3, 6)
    slowed.calibrate(lambda: view.hift_inference(3))
    slowed.share = 1.0
    began = hands.now
    view.hift_inference(3)
    assert hands.now - began == pytest.approx(2.0, abs=0.01)


def test_calls_that_do_not_go_through_the_stage_are_refused(hands: Hands) -> None:
    class S3Gen:
        def hift_inference(self) -> None:
            """Nobody calls it."""

    slowed = SlowedStage(SimpleNamespace(s3gen=S3Gen()))
    with pytest.raises(StageNotSeenError, match=r"3 calls did not go through the vocoder \(hift_inference of"):
        slowed.calibrate(hands.thread_time)
