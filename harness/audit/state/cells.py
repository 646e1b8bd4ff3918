"""The places that writes went to, as values that can be taken and put back while a call is being held."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from types import CellType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness.audit.state.graph import CONTAINERS, GENERATORS, Node
from harness.audit.state.paths import ABSENT, TENSOR_ATTRIBUTES, Path, cell_of, follow, held_attribute
from harness.audit.state.restore import Held, get_state, hold, put_attribute, put_back, set_state
from harness.audit.state.settings import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.audit.state.graph import Role
    from harness.audit.watch.events import Draw, Holds, Write

NO_LIMIT = 1 << 62
WIDE_GENERATORS: dict[str, Any] = {
    "process-wide torch.default_generator": torch.default_generator,
    "process-wide random": random._inst,  # noqa: SLF001 - Python's process-wide generator
    "process-wide numpy.random": np.random.mtrand._rand,  # noqa: SLF001 - numpy's
}


@dataclass(frozen=True)
class Cell:
    """One place that was written: a slot, a content, or a generator by name."""

    owner: Path
    holds: Holds


def cell_of_write(write: Write) -> Cell:
    return Cell(write.owner, write.holds)


def cell_of_draw(draw: Draw) -> Cell:
    name = draw.generator.removeprefix("shared ") if draw.generator.startswith("shared ") else draw.generator
    return Cell(Path(name), "content")


def role_of(value: object) -> Role | None:
    if isinstance(value, torch.Tensor):
        return "tensor"
    if isinstance(value, np.ndarray):
        return "array"
    if isinstance(value, CONTAINERS):
        return "container"
    return "cell" if isinstance(value, CellType) else None


class Cells:
    """All places that writes and draws of one subject go to."""

    def __init__(self, roots: Mapping[str, object], generators: Mapping[str, object]) -> None:
        self._roots = roots
        self._generators = {**WIDE_GENERATORS, **generators}

    def follow(self, path: Path) -> object:
        return follow(path, self._roots)

    def has_holder(self, cell: Cell) -> bool:
        """Whether the object that holds what is written exists now."""
        return not cell.owner.steps or self.follow(replace(cell.owner, steps=cell.owner.steps[:-1])) is not ABSENT

    def take(self, cells: Iterable[Cell]) -> dict[Cell, Callable[[], object]]:
        """For every cell that exists now, how to put back what it holds now."""
        taken = {}
        for cell in cells:
            put = self._take(cell)
            if put is not None:
                taken[cell] = put
        return taken

    def _take(self, cell: Cell) -> Callable[[], object] | None:  # noqa: PLR0911 - one for each sort of cell
        if cell.holds == "nothing":
            return None
        if cell.owner.root in SETTINGS:
            setting = SETTINGS[cell.owner.root]
            now = setting.get()
            return lambda: setting.put(now)
        if cell.owner.root in self._generators and not cell.owner.steps:
            generator = self._generators[cell.owner.root]
            state = get_state(generator)
            return lambda: set_state(generator, state)
        if cell.holds == "slot":
            return self._take_slot(cell.owner)
        value = self._holder(cell.owner)
        if isinstance(value, GENERATORS):
            state = get_state(value)
            return lambda: set_state(value, state)
        role = role_of(value)
        if role is None:
            return None
        node = Node(value, cell.owner, role)
        held: Held | None = hold(node, NO_LIMIT)
        return None if held is None else lambda: put_back(node, held)

    def _holder(self, path: Path) -> object:
        """The object at `path`; for a variable of a function not what it holds but the cell that holds it."""
        if not path.steps or path.steps[-1].kind != "cell":
            return follow(path, self._roots)
        try:
            return cell_of(follow(replace(path, steps=path.steps[:-1]), self._roots), path.steps[-1].key)
        except (AttributeError, KeyError):
            return ABSENT

    def _take_slot(self, path: Path) -> Callable[[], object] | None:
        if not path.steps or path.steps[-1].kind != "attribute":
            return None
        owner = follow(Path(path.root, path.steps[:-1], path.of_module), self._roots)
        name = str(path.steps[-1].key)
        if owner is ABSENT or (role_of(owner) in {"tensor", "array"} and name not in TENSOR_ATTRIBUTES):
            return None
        value = held_attribute(owner, name)
        return lambda: put_attribute(owner, name, value)


def is_ancestor(cell: Cell, other: Cell) -> bool:
    """Whether what is at `other` is reached through what `cell` holds: an object in a slot, an entry of a container."""
    if cell == other or not other.owner.starts_with(cell.owner):
        return False
    return cell.holds == "slot" or (cell.holds == "content" and len(other.owner.steps) > len(cell.owner.steps))
