from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext

import pytest

from harness.run.gate.meeting import Meeting


@pytest.mark.parametrize(
    ("guard", "patience_s", "most"),
    [(nullcontext(), 60.0, 4), (threading.Lock(), 0.05, 1), (threading.Semaphore(3), 0.5, 3)],
)
def test_as_many_meet_as_are_let_in(guard: AbstractContextManager[object], patience_s: float, most: int) -> None:
    meeting = Meeting(4, patience_s)

    def call(_: int) -> None:
        with guard, meeting.place() as arrive:
            arrive()
            arrive()  # as before every decoding step

    with ThreadPoolExecutor(4) as executor:
        list(executor.map(call, range(4)))
    assert meeting.most == most


@pytest.mark.parametrize("arrives", [False, True])
def test_who_fails_is_there_no_more(*, arrives: bool) -> None:
    meeting = Meeting(2, 0.05)

    def fail() -> None:
        with meeting.place() as arrive:
            if arrives:
                arrive()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    with meeting.place() as arrive:
        arrive()
    assert meeting.most == 1
