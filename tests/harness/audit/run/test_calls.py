from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
import torch

from harness.audit.run.calls import SWITCH_INTERVAL, Hold, Outcome, Worker, copied, difference, identical
from harness.audit.run.stress import run_freely
from harness.audit.watch.locate import Site


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (torch.tensor([float("nan")]), torch.tensor([float("nan")]), True),
        (torch.tensor([0.0]), torch.tensor([-0.0]), False),
        (torch.tensor([1.0]), torch.tensor([1.0], dtype=torch.float64), False),
        (torch.ones(2), torch.ones(2, 1), False),
        ([torch.ones(1), {"a": np.ones(2)}], [torch.ones(1), {"a": np.ones(2)}], True),
        ([1], [1, 2], False),
    ],
)
def test_identical_means_the_same_bits(one: object, other: object, *, same: bool) -> None:
    assert identical(one, other) is same


def test_difference_tells_shapes_values_and_errors_apart() -> None:
    reference = Outcome(torch.zeros(2))
    assert difference(Outcome(torch.zeros(2)), reference) == ""
    assert difference(Outcome(torch.zeros(3)), reference) == "its output has shape (3,) instead of (2,)"
    assert difference(Outcome(torch.ones(2)), reference) == "2 of 2 values of its output changed"
    assert difference(Outcome(error="ValueError: x"), reference) == "it raised ValueError: x"


def test_a_copy_does_not_follow_its_original() -> None:
    original = {"a": [torch.zeros(1)]}
    kept = copied(original)
    original["a"][0].add_(1)
    assert kept["a"][0].item() == 0


def test_a_held_call_stands_between_two_lines_until_it_is_released() -> None:
    seen: list[str] = []

    def call(request: str) -> str:
        seen.append(request)
        seen.append("after")
        return request

    hold = Hold(Site(call.__code__, call.__code__.co_firstlineno + 1), "after")
    worker = Worker(call, "first", hold.install).start()
    assert hold.reached(1, 30)
    assert seen == ["first"]
    hold.let_go()
    assert worker.wait(30).value == "first"
    assert seen == ["first", "after"]


def test_a_call_behind_a_lock_is_seen_to_be_blocked() -> None:
    lock = threading.Lock()

    def call(request: int) -> int:
        with lock:
            return request

    with lock:
        worker = Worker(call, 1).start()
        assert worker.wait_or_blocked(30)
    assert worker.wait(30).value == 1


def test_the_switch_interval_is_short_while_calls_run_freely_and_put_back_after_an_error() -> None:
    before, seen = sys.getswitchinterval(), []

    def call(_request: object) -> int:
        seen.append(sys.getswitchinterval())
        return 1

    run_freely(call, (1,), (Outcome(1),), lambda: None, 2, 0.0)
    assert seen == [pytest.approx(SWITCH_INTERVAL)] * 2
    with pytest.raises(ValueError, match="max"):
        run_freely(call, (1,), (), lambda: None, 2, 0.0)
    assert sys.getswitchinterval() == before
