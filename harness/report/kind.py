"""The kinds of saved results: a module in `harness.report.kinds` is all that a new one takes."""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import harness.report.kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from harness.report.page import Part
    from harness.verdict.history import Value


@dataclass(frozen=True)
class Kind:
    """How one kind of saved result is read and laid out. A module of `harness.report.kinds` calls its own `KIND`.

    Attributes:
        name: one word, lower case.
        order: parts of a page are sorted by it.
        files: a folder that holds any of these holds a result of this kind; the first is the result itself.
        load: reads the result of a folder, and raises `SavedFileError` with one clear line if it cannot.
        part: lays it out.
        metrics: what a history can follow over commits, by name; `None` if there is nothing.
    """

    name: str
    order: int
    files: tuple[str, ...]
    load: Callable[[Path], Mapping[str, Any]]
    part: Callable[[Mapping[str, Any]], Part]
    metrics: Callable[[Mapping[str, Any]], Mapping[str, Value]] | None = None

    def lies_in(self, folder: Path) -> bool:
        """Whether `folder` itself, not one below it, holds such a result."""
        return any((folder / file).is_file() for file in self.files)


def all_kinds() -> tuple[Kind, ...]:
    """Return every kind there is, in the order of their parts on a page."""
    package = harness.report.kinds
    names = [module.name for module in pkgutil.iter_modules(package.__path__)]
    kinds = [importlib.import_module(f"{package.__name__}.{name}").KIND for name in names]
    return tuple(sorted(kinds, key=lambda kind: kind.order))
