from __future__ import annotations

import pytest
import torch

from harness.audit.observe import observe
from harness.audit.state.checkpoint import Checkpoint
from harness.audit.state.graph import Graph
from tests.harness.audit import planted_rare


@pytest.mark.parametrize("name", planted_rare.WRITES)
def test_a_write_of_a_rarer_kind_is_seen_with_its_path_kind_and_line(name: str) -> None:
    fault, path, kind = planted_rare.WRITES[name]
    model = planted_rare.Model()

    def call(value: float) -> torch.Tensor:
        fault(model, value)
        return torch.tensor(value)

    graph = Graph({"model": model})
    checkpoint = Checkpoint(graph)
    record = observe(call, (1.0, 2.0), graph, checkpoint, 5.0).record

    location = f"{planted_rare.__file__}:{planted_rare.line_of(name)}"
    assert any(path in key[0] and key[1:] == (kind, location) for key in record.writes), list(record.writes)
    assert {key[2] for key in record.writes} == {location}


def test_a_class_that_a_call_makes_for_itself_is_not_shared() -> None:
    model = planted_rare.Model()

    def call(value: float) -> torch.Tensor:
        class Own:
            level = 0.0

        Own.level = value
        return torch.tensor(Own.level)

    graph = Graph({"model": model})
    assert not observe(call, (1.0, 2.0), graph, Checkpoint(graph), 5.0).record.writes


def test_a_value_that_the_next_call_puts_back_is_put_back_after_the_audit() -> None:
    model = planted_rare.Model()

    def call(value: float) -> torch.Tensor:
        planted_rare.training_mode(model, value)
        return torch.tensor(value)

    graph = Graph({"model": model})
    checkpoint = Checkpoint(graph)
    observe(call, (1.0, 2.0), graph, checkpoint, 5.0)
    call(1.0)
    checkpoint.restore()

    assert all(module.training for module in model.modules())


def test_a_setting_of_the_process_is_put_back() -> None:
    graph = Graph({"model": planted_rare.Model()})
    checkpoint = Checkpoint(graph)
    torch.set_default_dtype(torch.float64)
    checkpoint.restore()

    assert torch.get_default_dtype() is torch.float32
