"""What a cell does besides calling: switch interval, hooks, limits."""

from __future__ import annotations

import sys
import threading

import pytest
import torch

from harness import Subject
from harness.run.cell import CellPlan, run_cell
from harness.run.records import Ending
from tests.harness import toys


def plan(threads: int, utterances: int = 4) -> CellPlan:
    return CellPlan(threads, threads, utterances, 0, 20, "own", switch_interval_s=1e-4)


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_all_threads_take_part_and_every_request_is_called(threads: int) -> None:
    seen: list[float] = []

    def call(number: float) -> torch.Tensor:
        seen.append(sys.getswitchinterval())
        return torch.tensor([number])

    before = sys.getswitchinterval()
    cell = run_cell(Subject("plain", call, ()), (1.0, 2.0, 3.0), plan(threads, 16))
    assert [call.request for call in cell.calls] == [place % 3 for place in range(16)]
    assert {call.ending for call in cell.calls} == {Ending.RETURNED}
    assert all(interval == pytest.approx(1e-4) for interval in seen)
    assert sys.getswitchinterval() == before


def test_the_switch_interval_comes_back_when_the_cell_itself_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_phase: object) -> None:
        assert sys.getswitchinterval() == pytest.approx(1e-4)
        raise MemoryError

    monkeypatch.setattr("harness.run.cell.Phase.run", fail)
    before = sys.getswitchinterval()
    with pytest.raises(MemoryError):
        run_cell(toys.clean(), toys.REQUESTS, plan(2))
    assert sys.getswitchinterval() == before


def test_a_cell_with_a_call_that_never_ends_is_as_long_as_it_was_watched() -> None:
    never = threading.Event()

    def call(number: float) -> torch.Tensor:
        if number == 2.0:
            never.wait(toys.MEETING_TIMEOUT_S)
        return torch.ones(1)

    try:
        cell = run_cell(Subject("stuck", call, ()), (1.0, 2.0), CellPlan(2, 2, 2, 0, 0.3, "own"))
    finally:
        never.set()
    assert {call.ending for call in cell.calls} == {Ending.RETURNED, Ending.HUNG}
    assert cell.wall_s >= 0.3


def test_calls_in_one_cell_really_run_at_the_same_time() -> None:
    """Sixteen calls that wait for each other can only end if there are sixteen threads."""
    barrier = threading.Barrier(16)

    def call(_number: float) -> torch.Tensor:
        barrier.wait(toys.MEETING_TIMEOUT_S)
        return torch.ones(1)

    cell = run_cell(Subject("meeting", call, ()), (1.0,), plan(16, 16))
    assert {call.ending for call in cell.calls} == {Ending.RETURNED}
    assert {call.worker for call in cell.calls} == set(range(16))


def test_a_result_that_is_no_tensor_is_an_error_of_the_call() -> None:
    cell = run_cell(Subject("odd", lambda _request: 3, ()), (1.0,), plan(1, 1))  # type: ignore[arg-type,return-value]
    (call,) = cell.calls
    assert call.error is not None
    assert call.error.message == "subject 'odd' returned int, not a tensor"


@pytest.mark.parametrize(("threads", "workers"), [(0, 0), (17, 17), (2, 3), (2, 0)])
def test_more_threads_than_the_limit_are_refused(threads: int, workers: int) -> None:
    with pytest.raises(ValueError, match="need 1 <= workers <= threads <= 16"):
        CellPlan(threads, workers, 4, 4, 10, "own")
