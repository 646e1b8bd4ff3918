"""A file of JSON lines, each of which says what it is, and the first of which says how to read the others."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Self

from harness.errors import SavedFileError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from types import TracebackType


class LineWriter:
    """Context manager that writes `path` anew, flushing after each line: a killed run leaves its data.

    Args:
        path: the file.
        version: of what the lines mean.
        head: what the first line says beside it.
    """

    def __init__(self, path: Path, version: str, **head: object) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._write("version", {"version": version, **head})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def _write(self, kind: str, content: Mapping[str, Any]) -> None:
        self._file.write(json.dumps({"line": kind, **content}) + "\n")
        self._file.flush()


def read_lines(path: Path, version: str) -> list[dict[str, Any]]:
    """Read what a `LineWriter` wrote, its first line included.

    Raises:
        SavedFileError: the file is of another version.
        OSError, ValueError, LookupError, TypeError, AttributeError: it is missing or damaged.
    """
    lines: list[dict[str, Any]] = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = lines[0].get("version") if lines else None
    if found != version:
        raise SavedFileError(f"{path}: version {found!r} is not {version!r}, which this harness reads")
    return lines
