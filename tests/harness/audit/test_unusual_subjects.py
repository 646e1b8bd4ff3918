"""Models that keep what they write where it is not looked for at once, and calls that do not simply return a tensor."""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import nn

from harness import ReferenceFailedError, Subject
from harness.audit.auditor import audit
from harness.audit.state.graph import Graph
from harness.audit.state.memory import memory_of
from harness.audit.state.shell import shell_of
from harness.errors import SubjectError
from tests.harness.audit.test_auditor import audited

__table: dict[str, float] = {}


class Slotted:
    __slots__ = ("__values",)

    def __init__(self) -> None:
        self.__values: list[float] = []

    def write(self, value: float) -> None:
        self.__values[:] = [value]


class OwnThread(threading.Thread):
    def __init__(self) -> None:
        super().__init__()
        self.last = 0.0


class Workspace:
    def __init__(self) -> None:
        self.last = 0.0


@lru_cache
def workspace() -> Workspace:
    return Workspace()


def to_slots(model: Any, value: float) -> None:  # noqa: ANN401 - any model
    model.write(value)


def to_attribute(model: Any, value: float) -> None:  # noqa: ANN401 - any model
    model.last = value


def to_module(_model: object, value: float) -> None:
    __table["last"] = value


def to_cached(_model: object, value: float) -> None:
    workspace().last = value


@pytest.mark.parametrize(
    ("model", "write", "path"),
    [
        (Slotted(), to_slots, "model._Slotted__values"),
        (OwnThread(), to_attribute, "model.last"),
        (nn.Linear(1, 1), to_module, "test_unusual_subjects.__table"),
        (nn.Linear(1, 1), to_cached, "workspace"),
    ],
)
def test_a_write_is_seen_wherever_the_model_keeps_it(model: Any, write: Any, path: str) -> None:  # noqa: ANN401 - as above
    workspace()  # warm: a hit runs no Python

    def call(value: float) -> torch.Tensor:
        write(model, value)
        return torch.tensor([value])

    result = audited(call, model)
    assert result.verdict != "SAFE"
    assert any(path in found.path for found in result.writes), [found.path for found in result.writes]


def test_torchscript_is_looked_into_as_far_as_possible_and_never_called_safe() -> None:
    scripted = torch.jit.script(nn.BatchNorm1d(2)).train()
    result = audited(lambda value: scripted(torch.tensor([[value, 1.0], [0.0, 2.0]])), scripted)
    assert result.verdict == "INCONCLUSIVE"
    assert any("running_mean" in found.path for found in result.writes)
    clean = torch.jit.script(nn.Linear(2, 2)).eval()
    result = audited(lambda value: clean(torch.full((1, 2), value)), clean)
    assert result.verdict == "INCONCLUSIVE"
    assert "TorchScript" in result.reason


def test_onednns_switch_holds_for_every_call() -> None:
    def call(value: float) -> torch.Tensor:
        with torch.backends.mkldnn.flags(enabled=False):
            return torch.tensor([value])

    result = audited(call, nn.Linear(1, 1))
    assert any(found.path == "torch.backends.mkldnn.enabled" for found in result.writes)


def test_what_is_not_initialised_yet_has_no_memory() -> None:
    lazy = nn.LazyLinear(3)
    assert memory_of(lazy.weight) is None
    assert shell_of(lazy.weight) is None
    assert Graph({"model": lazy}).nodes


@dataclass(frozen=True)
class Spoken:
    audio: torch.Tensor
    rate: int


def test_dataclasses_of_tensors_are_compared_field_by_field() -> None:
    def audited_dataclass(call: Any, shared: object) -> str:  # noqa: ANN401 - it returns no tensor
        return audit(Subject("dataclass", call, (shared,)), (1.0, 2.0), threads=4, budget=12.0).verdict

    assert audited_dataclass(lambda value: Spoken(torch.tensor([value]), 24), nn.Linear(1, 1)) == "SAFE"
    shared = Spoken(torch.zeros(1), 24)

    def fill(value: float) -> Spoken:
        shared.audio.fill_(value)
        time.sleep(0.001)
        return shared

    assert audited_dataclass(fill, shared) == "UNSAFE"


def test_what_cannot_be_compared_is_named() -> None:
    model = nn.Linear(1, 1)
    with pytest.raises(SubjectError, match="a call returned object, which cannot be compared bit by bit"):
        audited(lambda _: object(), model)  # type: ignore[arg-type, return-value] # no tensor


def test_a_call_that_leaves_is_one_that_raised() -> None:
    def call(_value: float) -> torch.Tensor:
        sys.exit(0)

    with pytest.raises(ReferenceFailedError, match="SystemExit: 0"):
        audited(call, nn.Linear(1, 1))


def test_calls_that_wait_for_each_other_are_unsafe_and_end_the_audit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.audit.observe.PATIENCE_S", 0.2)
    locks = threading.Lock(), threading.Lock()

    def call(value: float) -> torch.Tensor:
        first, second = locks if value == 1.0 else locks[::-1]
        with first:
            time.sleep(0.05)
            assert second.acquire(timeout=20)  # for ever, as far as the audit is concerned
            second.release()
        return torch.tensor([value])

    result = audited(call, nn.Linear(1, 1))
    assert result.verdict == "UNSAFE"
    assert "did not end" in result.reason
    assert result.stress.unfinished == 2
