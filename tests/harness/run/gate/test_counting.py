from __future__ import annotations

import random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from harness.run.gate.counting import CallCounter, generator_states, weights_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def holder() -> SimpleNamespace:
    """A model as upstream's are: an object with modules as attributes."""
    return SimpleNamespace(layer=torch.nn.Linear(4, 3), norm=torch.nn.BatchNorm1d(3), name="toy")


def test_weights_are_parameters_and_buffers(holder: SimpleNamespace) -> None:
    assert sum(tensor.numel() for tensor in weights_of(holder)) == 4 * 3 + 3 + 3 + 3 + 3 + 3 + 1


def test_operations_and_the_weights_they_read_are_counted(holder: SimpleNamespace) -> None:
    rows = torch.ones(2, 4)
    with torch.inference_mode(), CallCounter(holder) as one:
        holder.layer(rows)
    with torch.inference_mode(), CallCounter(holder) as two:
        holder.layer(rows)
        holder.layer(rows)
    assert one.tensor_ops > 0
    assert two.tensor_ops == 2 * one.tensor_ops
    assert (one.weight_bytes, two.weight_bytes) == (15 * 4, 2 * 15 * 4)
    assert (one.weight_writes, one.process_draws) == (0, 0)


def test_a_view_of_a_weight_reads_nothing_but_what_is_done_with_it_does(holder: SimpleNamespace) -> None:
    with torch.inference_mode(), CallCounter(holder) as counter:
        row = holder.layer.weight[0]
        assert counter.weight_bytes == 0
        row.sum()
    assert counter.weight_bytes == 16


def test_a_write_to_a_weight_is_seen_through_a_view(holder: SimpleNamespace) -> None:
    with torch.no_grad(), CallCounter(holder) as counter:
        holder.layer.weight[1].mul_(2.0)
        torch.ones(3).mul_(2.0)
    assert counter.weight_writes == 1


def test_draws_that_name_no_generator_are_counted() -> None:
    own = torch.Generator().manual_seed(1)
    with CallCounter(SimpleNamespace()) as counter:
        torch.randn(3, generator=own)
        torch.multinomial(torch.ones(3), 1, generator=own)
        torch.nn.functional.dropout(torch.ones(3), p=0.5, training=False)
        torch.nn.functional.scaled_dot_product_attention(*torch.ones(3, 1, 2, 4))
    assert counter.process_draws == 0
    with CallCounter(SimpleNamespace()) as counter:
        torch.randn(3)
        torch.rand_like(torch.ones(3))
        torch.multinomial(torch.ones(3), 1)
        torch.ones(3).uniform_()
    assert counter.process_draws == 4


@pytest.mark.parametrize("name", ["torch", "numpy", "random"])
def test_a_generator_that_moved_shows(name: str) -> None:
    before = generator_states()
    assert generator_states() == before
    draws: dict[str, Callable[[], object]] = {
        "torch": lambda: torch.rand(1), "numpy": np.random.rand, "random": random.random
    }  # fmt: skip
    draws[name]()
    after = generator_states()
    assert {one for one, state in after.items() if state != before[one]} == {name}
