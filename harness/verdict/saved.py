"""Save what a command concluded as one JSON file, and read it back only if it is whole and of the right version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping
    from pathlib import Path

VERSION_KEY = "version"
# What a killed process may leave of a result.
UNFINISHED = ".unfinished"


def save_result(result: Mapping[str, Any], path: Path) -> Path:
    """Write `result` to `path`, whole or not at all, and return the path; the folder is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # A value that JSON lacks must not cost a long run its result: it is saved as its text.
    text = json.dumps(result, indent=1, default=str) + "\n"
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    return path


def load_result(
    path: Path, wanted_version: object, *, needed: Collection[str] = (), key: str = VERSION_KEY
) -> dict[str, Any]:
    """Read what `save_result` wrote.

    Args:
        path: of the file.
        wanted_version: the only version that is accepted.
        needed: entries that the file must have.
        key: the entry in which the file tells its version.

    Raises:
        SavedFileError: the file is missing, damaged or cut off, of another version, or lacks an entry.
    """
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SavedFileError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SavedFileError(f"{path}: is not whole JSON, damaged or cut off: {error}") from error
    version = result.get(key) if isinstance(result, dict) else None
    if version != wanted_version:
        raise SavedFileError(f"{path}: {key} {version!r} is not {wanted_version!r}, which this harness reads")
    if missing := set(needed) - set(result):
        raise SavedFileError(f"{path}: has no {min(missing)!r}")
    return dict(result)
