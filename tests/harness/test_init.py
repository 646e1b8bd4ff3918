"""The public surface, and the direction of imports."""

from __future__ import annotations

import ast
from pathlib import Path

import harness

ROOMS = ("workload", "run", "observations", "verdict", "report", "commands")


def test_public_surface() -> None:
    assert harness.__all__ == [
        "HarnessError",
        "ReferenceFailedError",
        "SavedFileError",
        "Subject",
        "SubjectError",
        "UsageError",
    ]
    assert all(hasattr(harness, name) for name in harness.__all__)


def test_nothing_earlier_imports_anything_later() -> None:
    root = Path(harness.__file__).parent
    for place, room in enumerate(ROOMS):
        for path in (root / room).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            rooms = {module.split(".")[1] for module in modules if module.startswith("harness.")}
            # The dispatcher needs the exit statuses; otherwise every room looks only at those before it.
            assert not rooms & set(ROOMS[place + 1 :]), f"{path} imports a later room"
