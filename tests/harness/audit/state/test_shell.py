from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from harness.audit.state.checkpoint import Checkpoint
from harness.audit.state.graph import Graph

if TYPE_CHECKING:
    from collections.abc import Callable


class Model(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 2)
        self.register_buffer("table", torch.arange(4.0))
        self.table: torch.Tensor
        self.tail = self.table[2:]


def gradient(model: Model) -> None:
    model.layer(torch.ones(2)).sum().backward()


FAULTS: dict[str, Callable[[Model], object]] = {
    "recast": lambda model: model.half(),
    "other memory": lambda model: model.table.set_(torch.zeros(9)),  # type: ignore[call-overload] # torch types no source
    "more memory": lambda model: model.table.resize_(64).fill_(7),
    "another shape": lambda model: model.table.t_().unsqueeze_(0),
    "a view of shared memory": lambda model: model.tail.fill_(5),
    "a frozen parameter": lambda model: model.layer.weight.requires_grad_(False),
    "a gradient": gradient,
}


def look(model: Model) -> list[object]:
    tensors = [*model.parameters(), model.table, model.tail]
    return [(each.dtype, each.shape, each.stride(), each.requires_grad, each.tolist(), each.grad) for each in tensors]


@pytest.mark.parametrize("name", FAULTS)
def test_however_a_tensor_was_changed_it_is_put_back(name: str) -> None:
    model = Model()
    checkpoint = Checkpoint(Graph({"model": model}))
    before = look(model)

    FAULTS[name](model)
    changed = checkpoint.changed()

    assert changed
    assert checkpoint.restore() == ()
    assert look(model) == before
    assert checkpoint.changed() == []


def test_a_checkpoint_leaves_storages_resizable() -> None:
    model = Model()
    Checkpoint(Graph({"model": model})).changed()

    model.table.resize_(64)

    assert model.table.shape == (64,)


def test_memory_that_has_grown_is_not_taken_from_those_who_look_at_it() -> None:
    model = Model()
    checkpoint = Checkpoint(Graph({"model": model}))
    seen_by_a_held_call = model.table.resize_(1000).fill_(7)[4:]

    assert checkpoint.changed()
    assert checkpoint.restore() == ()

    assert seen_by_a_held_call.untyped_storage().nbytes() >= 4 * 1000
    assert torch.equal(seen_by_a_held_call, torch.full((996,), 7.0))
    assert model.table.tolist() == [0, 1, 2, 3]
