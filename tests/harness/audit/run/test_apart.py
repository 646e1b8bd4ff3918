from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

import psutil
import pytest
import torch

from harness.audit.run.apart import Died, NoAnswer, run_apart

if TYPE_CHECKING:
    from collections.abc import Iterator


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    before = children()
    yield
    assert children() <= before


def children() -> set[int]:
    """The processes that this one started, those of other tests included, and those that ended unasked."""
    return {child.pid for child in psutil.Process().children()}


def test_what_the_process_made_is_handed_back() -> None:
    made = run_apart(lambda: (os.getpid(), "x" * 1_000_000), 30)

    assert isinstance(made, tuple)
    assert made[0] != os.getpid()
    assert made[1] == "x" * 1_000_000


@pytest.mark.parametrize("ending", [signal.SIGSEGV, signal.SIGABRT])
def test_a_process_that_dies_is_told_by_its_signal(ending: signal.Signals) -> None:
    assert run_apart(lambda: os.kill(os.getpid(), ending), 30) == Died(ending.name)


def test_a_process_that_does_not_end_is_ended() -> None:
    start = time.monotonic()

    assert isinstance(run_apart(lambda: time.sleep(60), 0.2), NoAnswer)
    assert time.monotonic() - start < 30


def test_an_error_in_the_process_stays_there() -> None:
    assert isinstance(run_apart(lambda: 1 // 0, 30), NoAnswer)


def test_nothing_is_forked_where_threads_of_torch_would_be_missed() -> None:
    torch.set_num_threads(2)

    assert run_apart(lambda: 1, 30) == NoAnswer("no process could be forked for them")
