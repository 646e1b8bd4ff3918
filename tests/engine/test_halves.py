"""Two rows on half the cores each give what one after the other gives."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from stateless_tts.engine._halves import RowByRow, half_the_cores


class Scale(nn.Module):
    """Stands in for an estimator; notes on which threads it ran, with how many cores, and how many rows it saw."""

    dtype = torch.float32

    def __init__(self) -> None:
        super().__init__()
        self.seen: set[tuple[int, int, int]] = set()

    def forward(self, x: torch.Tensor, mask: torch.Tensor, r: torch.Tensor | None = None) -> torch.Tensor:
        assert r is None
        assert torch.is_inference_mode_enabled()
        self.seen.add((threading.get_ident(), torch.get_num_threads(), x.size(0)))
        return x * 2 + mask


@pytest.mark.parametrize(("cores", "renderings"), [(1, 1), (2, 1), (5, 3)])
def test_rows_come_back_in_order_from_half_the_cores_each(cores: int, renderings: int) -> None:
    before = torch.get_num_threads()
    scale, halves = Scale(), half_the_cores(cores, renderings)
    rows, mask = torch.arange(6.0).view(2, 3), torch.tensor([[1.0], [10.0]])
    with torch.inference_mode():
        for _ in range(5):
            result = RowByRow(scale, halves)(rows, mask=mask, r=None)
            assert torch.equal(result, rows * 2 + mask)
    assert {one[2] for one in scale.seen} == {1}
    if halves is None:
        assert cores == 1
        assert {one[0] for one in scale.seen} == {threading.get_ident()}
    else:
        assert {one[1] for one in scale.seen} == {cores // 2}
        halves.shutdown(wait=True)
    assert torch.get_num_threads() == before


def test_a_single_row_stays_with_the_caller() -> None:
    scale, halves = Scale(), half_the_cores(2)
    assert halves is not None
    assert RowByRow(scale, halves)(torch.ones(1, 3), mask=torch.zeros(1, 1), r=None).shape == (1, 3)
    assert {one[0] for one in scale.seen} == {threading.get_ident()}
    halves.shutdown(wait=True)


def test_what_a_row_raises_is_raised() -> None:
    halves = half_the_cores(2)
    assert halves is not None
    with pytest.raises(TypeError):
        RowByRow(Scale(), halves)(torch.zeros(2, 1), unknown=torch.zeros(2, 1))
    halves.shutdown(wait=True)


def test_rows_are_taken_when_the_main_thread_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Executors are told of that before the other threads are waited for, which may still speak."""
    halves = half_the_cores(2)
    assert halves is not None
    monkeypatch.setattr("concurrent.futures.thread._shutdown", True)
    with pytest.raises(RuntimeError, match="cannot schedule new futures"):
        ThreadPoolExecutor(1).submit(print)
    assert halves.map(torch.neg, [torch.ones(1), torch.zeros(1)]) == [-1, 0]
    halves.shutdown(wait=True)
    with pytest.raises(RuntimeError, match="have ended"):
        halves.map(torch.neg, [torch.ones(1)])


def test_threads_of_halves_that_nobody_holds_end() -> None:
    halves = half_the_cores(2)
    assert halves is not None
    threads = halves._threads
    del halves
    for thread in threads:
        thread.join(10)
    assert not any(thread.is_alive() for thread in threads)


def test_the_solver_finds_the_dtype_it_asks_for() -> None:
    assert RowByRow(Scale(), None).dtype is torch.float32
