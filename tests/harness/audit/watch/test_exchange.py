from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.audit import auditor
from harness.audit.observe import observe
from harness.audit.run.stress import run_freely
from harness.audit.state.checkpoint import Checkpoint
from harness.audit.state.graph import Graph
from harness.audit.table import audit_lines
from tests.harness.audit.test_auditor import audited

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness.audit.result import StressSummary


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(2))
        self.register_buffer("table", torch.ones(2))
        self.table: torch.Tensor


def backward(model: Model) -> None:
    model.weight.sum().backward()  # type: ignore[no-untyped-call] # torch ships no types for it


EXCHANGES: dict[str, tuple[str, Callable[[Model], object]]] = {
    "data": ("model.table", lambda model: setattr(model.table, "data", torch.zeros(2))),
    "other memory": ("model.table", lambda model: model.table.set_(torch.zeros(2))),  # type: ignore[call-overload] # torch types no source
    "more memory": ("model.table", lambda model: model.table.resize_(64)),
    "shape, there and back": ("model.table", lambda model: model.table.unsqueeze_(0).squeeze_(0)),
    "shape, by `out`": ("model.table", lambda model: torch.mul(torch.ones(3, 3), 2, out=model.table)),
    "gradient": ("model.weight.grad", backward),
    "flag of autograd": ("model.weight.requires_grad", lambda model: model.weight.requires_grad_(False)),
}
VALUES: dict[str, Callable[[Model], object]] = {
    "fill": lambda model: model.table.fill_(2),
    "view": lambda model: model.table[1:].add_(1),
    "another tensor": lambda model: setattr(model, "table", torch.zeros(2)),
}


pytestmark = pytest.mark.usefixtures("one_thread")


def exchanged(change: Callable[[Model], object]) -> tuple[tuple[str, ...], int]:
    model = Model()
    graph = Graph({"model": model})

    def call(value: float) -> torch.Tensor:
        change(model)
        return torch.tensor(value)

    observation = observe(call, (1.0, 2.0), graph, Checkpoint(graph), 1.0)
    return observation.exchanged, len(observation.overlapping)


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
@pytest.mark.parametrize("name", EXCHANGES)
def test_calls_that_exchange_what_a_tensor_is_made_of_are_not_overlapped(name: str) -> None:
    path, change = EXCHANGES[name]
    found, overlapping = exchanged(change)

    assert path in found
    assert overlapping == 0


@pytest.mark.parametrize("name", VALUES)
def test_calls_that_write_values_are_overlapped(name: str) -> None:
    assert exchanged(VALUES[name]) == ((), 2)


def test_they_run_freely_only_in_a_process_that_may_die(monkeypatch: pytest.MonkeyPatch) -> None:
    def not_here(*arguments: Any) -> StressSummary:  # noqa: ANN401 - whatever it takes
        if os.getpid() == process:
            pytest.fail("ran freely in the process of the audit")
        return run_freely(*arguments)

    model, process = Model(), os.getpid()

    def call(value: float) -> torch.Tensor:
        if os.getpid() != process:
            os.kill(os.getpid(), signal.SIGSEGV)
        model.table.data = torch.full((2,), 1.0)
        return torch.tensor(value)

    monkeypatch.setattr(auditor, "run_freely", not_here)
    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    assert "died of SIGSEGV" in result.reason
    assert result.facts["exchanged"] == ["model.table"]
    assert model.table.tolist() == [1, 1]


def test_where_no_process_may_die_for_them_they_do_not_run_freely_and_the_table_says_so() -> None:
    torch.set_num_threads(2)
    model = Model()

    def call(value: float) -> torch.Tensor:
        model.table.data = torch.full((2,), value)
        return model.table * 2

    result = audited(call, model)

    assert result.verdict == "UNSAFE"
    assert result.stress.calls == 0
    assert "no concurrent calls: no process could be forked for them" in "\n".join(audit_lines(result))
