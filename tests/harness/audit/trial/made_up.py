"""Findings on a model that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.audit.findings import Finding
from harness.audit.state.cells import Cell
from harness.audit.state.paths import Path
from harness.audit.watch.locate import Place, Site

if TYPE_CHECKING:
    from harness.audit.watch.events import Holds

MODEL = Path("model")


def line() -> None:
    """Stand for a line that writes."""


def finding(
    name: str, kind: str = "attribute rebinding", *cells: Cell, above: tuple[Cell, ...] = (), count: int = 1,
    same: bool = False,
) -> Finding:  # fmt: skip
    site = Site(line.__code__, 1, hash(name))
    place = Place(f"{name}.py:1", (), (site,))
    written = frozenset(cells or (slot(name),))
    return Finding(name, kind, place, (), written, frozenset(above), (site,), count, same_value=same)


def slot(name: str, holds: Holds = "slot") -> Cell:
    return Cell(MODEL.attribute(name), holds)
