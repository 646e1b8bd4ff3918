from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import torch

from harness.audit.findings import Finding
from harness.audit.leftovers import Leftovers
from harness.audit.state.cells import Cell, Cells
from harness.audit.state.paths import Path
from harness.audit.watch.locate import NOWHERE

SHARED = Path("model").attribute("held")
FOUND = Finding("model.held", "container item", NOWHERE, (), frozenset(), frozenset(), (), 1)


def told(before: object, *after: object) -> str:
    model = SimpleNamespace(held=before)
    finding = replace(FOUND, cells=frozenset({Cell(SHARED, "content")}))
    leftovers = Leftovers(Cells({"model": model}, {}), [finding])
    leftovers.look()
    for value in after:
        model.held = value
        leftovers.look()
    return leftovers.told(finding)


def test_a_container_that_every_call_lengthens_is_said_to_grow() -> None:
    assert "(0, 1, 2 entries" in told([], [1], [1, 2])


def test_a_container_that_is_filled_once_does_not_grow() -> None:
    assert told([], [1], [1]) == ""


def test_a_line_that_writes_many_containers_is_not_blamed_for_the_one_that_grows() -> None:
    model = SimpleNamespace(held=[], other=[])
    other = Cell(Path("model").attribute("other"), "content")
    finding = replace(FOUND, cells=frozenset({Cell(SHARED, "content"), other}))
    leftovers = Leftovers(Cells({"model": model}, {}), [finding])
    for size in range(3):
        model.held = [0] * size
        leftovers.look()

    assert leftovers.told(finding) == ""


def test_an_entry_that_changes_its_type_is_told() -> None:
    ids = torch.tensor([1, 2])

    assert told({"ids": ids}, {"ids": ids.float()}) == "['ids'] torch.int64 is left as torch.float32"


def test_a_value_put_back_by_the_call_is_no_leftover() -> None:
    assert told(1.0, 1.0, 1.0) == ""
    assert told(None, 2.0) == "None is left as 2.0"
