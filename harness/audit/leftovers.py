"""What calls leave behind in the places they write, whether or not it changes an output."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch

from harness.audit.state.graph import CONTAINERS
from harness.audit.state.paths import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.audit.findings import Finding
    from harness.audit.state.cells import Cells
    from harness.audit.state.paths import Path

SHOWN = 2
PLAIN = (bool, int, float, str, type(None))


class Leftovers:
    """Looks at every written place before any call and after each of some calls made in turn."""

    def __init__(self, cells: Cells, findings: Iterable[Finding]) -> None:
        self._cells = cells
        self._owners = {cell.owner for finding in findings for cell in finding.cells if cell.holds != "nothing"}
        self._sizes: dict[Path, list[int]] = {owner: [] for owner in self._owners}
        self._looks: dict[Path, list[dict[str, str]]] = {owner: [] for owner in self._owners}

    def look(self) -> None:
        """Take down what is in every place now: sizes, types, plain values."""
        for owner in self._owners:
            value = self._cells.follow(owner)
            self._sizes[owner].append(len(value) if isinstance(value, CONTAINERS) else 0)
            self._looks[owner].append(_entries(value))

    def told(self, finding: Finding) -> str:
        """What the calls left where `finding` writes, in words; empty if nothing shows."""
        owners = [owner for owner in dict.fromkeys(cell.owner for cell in finding.cells) if owner in self._owners]
        grown = [self._growth(owner) for owner in owners]
        if grown and all(grown):
            return grown[0]
        return next((said for owner in owners if (said := self._change(owner))), "")

    def _growth(self, owner: Path) -> str:
        sizes = self._sizes[owner]
        if len(sizes) > SHOWN and all(one < other for one, other in itertools.pairwise(sizes)):
            counts = ", ".join(map(str, sizes))
            return f"it grows with every call and is not emptied ({counts} entries before and after each of the calls)"
        return ""

    def _change(self, owner: Path) -> str:
        looks = self._looks[owner]
        if len(looks) < SHOWN:
            return ""
        before, after = looks[0], looks[-1]
        changed = [f"{name}{before[name]} is left as {after[name]}"
                   for name in before if name in after and before[name] != after[name]]  # fmt: skip
        return ", ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")


def _entries(value: object) -> dict[str, str]:
    if isinstance(value, dict):
        return {f"[{str(key)[:40]!r}] ": _shown(held) for key, held in list(dict.items(value))}
    return {} if isinstance(value, CONTAINERS) else {"": _shown(value)}


def _shown(value: object) -> str:
    if value is ABSENT:
        return "nothing"
    if isinstance(value, torch.Tensor | np.ndarray):
        return str(value.dtype)
    return repr(value)[:40] if isinstance(value, PLAIN) else type(value).__name__
