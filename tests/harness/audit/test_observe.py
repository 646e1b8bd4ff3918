from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch

from harness.audit.observe import observe
from harness.audit.state.checkpoint import Checkpoint
from harness.audit.state.graph import Graph
from harness.audit.watch.events import OWN, PROCESS_WIDE, Record
from tests.harness.audit import planted

if TYPE_CHECKING:
    from collections.abc import Callable


def watch(call: Callable[[float], torch.Tensor], model: planted.Model) -> Record:
    graph = Graph({"model": model})
    checkpoint = Checkpoint(graph)
    observation = observe(call, (1.0, 2.0), graph, checkpoint, 5.0)
    assert not [outcome.error for outcome in observation.outcomes if outcome.error]
    assert checkpoint.changed() == []
    return observation.record


@pytest.mark.parametrize("name", planted.WRITES)
def test_a_planted_write_is_seen_with_its_path_kind_and_line(name: str) -> None:
    fault, path, kind = planted.WRITES[name]
    model = planted.Model()

    record = watch(lambda value: fault(model, value), model)

    found = {(key[0], key[1]) for key in record.writes if key[2] == f"{planted.__file__}:{planted.line_of(name)}"}
    assert (path, kind) in found, list(record.writes)


@pytest.mark.parametrize("name", planted.WRITES)
def test_nothing_but_the_planted_line_and_its_undoing_is_reported(name: str) -> None:
    fault, _path, _kind = planted.WRITES[name]
    model = planted.Model()

    record = watch(lambda value: fault(model, value), model)

    lines = {int(key[2].rpartition(":")[2]) for key in record.writes}
    line = planted.line_of(name)
    assert lines == ({line, line + 2} if name == "write_and_restore" else {line})


@pytest.mark.parametrize("name", planted.DRAWS)
def test_a_planted_draw_is_seen_with_its_generator_and_line(name: str) -> None:
    draw, generator = planted.DRAWS[name]
    model = planted.Model()

    def call(value: float) -> torch.Tensor:
        draw(model)
        return torch.tensor(value)

    record = watch(call, model)

    assert [(key[1], key[2]) for key in record.draws] == [(generator, f"{planted.__file__}:{planted.line_of(name)}")]
    assert not record.writes


ON_NO_DEVICE = """
import torch
from tests.harness.audit import planted
from tests.harness.audit.test_observe import watch

def call(value):
    torch.nn.Linear(3, 4, device="meta")  # "initialises" its weights
    return torch.tensor(value)

watch(call, planted.Model())
assert not watch(call, planted.Model()).draws
"""


def test_what_is_on_no_device_draws_from_no_generator() -> None:
    # In a process of its own: at the first such tensor that is watched, torch imports sympy, which seeds a generator.
    # The second is what is asked about.
    done = subprocess.run([sys.executable, "-c", ON_NO_DEVICE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_clean_twin_writes_nothing_and_draws_only_from_generators_of_its_own() -> None:
    model = planted.Model()

    record = watch(lambda value: planted.clean(model, value), model)

    assert not record.writes
    assert {key[1] for key in record.draws} == {OWN}


def test_a_draw_in_a_thread_that_ran_before_is_told_from_the_generators_state_beside_draws_that_are_seen() -> None:
    with ThreadPoolExecutor(1) as pool:
        pool.submit(float).result()

        def call(value: float) -> torch.Tensor:
            torch.rand(1, generator=torch.Generator())
            return pool.submit(torch.rand, 1).result() * 0 + value

        record = watch(call, planted.Model())

    assert {key[1] for key in record.draws} == {OWN, f"{PROCESS_WIDE} torch.default_generator"}
