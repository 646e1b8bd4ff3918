"""The record of a batch: what succeeded, what failed and why.

While a batch runs, each item is appended to a journal beside the manifest, so that even SIGKILL loses no record of a
file that is whole; at the end the manifest is written and the journal goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from stateless_tts.files import write_atomically

from ._errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

FORMAT = "stateless-tts manifest 1"
NAME = "manifest.json"
_JOURNAL = "manifest.json.journal"
_BEGINNING = f'{{\n "format": "{FORMAT}"'  # what is left of a manifest that was cut off


@dataclass(frozen=True)
class Record:
    """What became of an item.

    Attributes:
        name: of the file, below the output folder.
        line: in the input.
        text: as it was given, shortened.
        status: ``succeeded``, ``failed`` or ``unfinished``.
        error: one line; empty on success.
        error_type: name of the exception.
        request: fingerprint of what was asked for.
        sha256: of the file.
        seconds: of audio.
    """

    name: str
    line: int
    text: str
    status: str
    error: str = ""
    error_type: str = ""
    request: str = ""
    sha256: str = ""
    seconds: float = 0.0


class Journal:
    """Appends records; each is on the disk when `add` returns."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / _JOURNAL).open("a", encoding="utf-8")

    def add(self, record: Record) -> None:
        """Append `record`."""
        self._file.write(json.dumps(asdict(record)) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file."""
        with contextlib.suppress(OSError):
            self._file.close()


def check_folder(folder: Path) -> None:
    """Make sure that `folder` can be written to, and that its manifest, if there is one, is ours.

    Raises:
        UsageError: it cannot, or something else is in the way.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be made a folder: {error.strerror}") from error
    manifest = folder / NAME
    if manifest.is_dir() or not _is_ours(_text(manifest)):
        raise UsageError(f"{str(manifest)!r} is no manifest of stateless-tts; it is left alone. Choose another folder")
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Make sure that a file can be made in `folder`.

    Raises:
        UsageError: none can.
    """
    try:
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        raise UsageError(f"{str(folder)!r} cannot be written to: {error.strerror}") from error


def _is_ours(text: str) -> bool:
    """Whether `text` is a manifest of ours, whole or cut off."""
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return text[: len(_BEGINNING)] == _BEGINNING[: len(text)]
    return isinstance(content, dict) and content.get("format") == FORMAT


def read_records(folder: Path) -> tuple[dict[str, Record], list[str]]:
    """Read what is known of an earlier batch in `folder`, from its manifest and its journal.

    Returns:
        Records by name; and a warning for each of the two that is damaged. What cannot be read is not trusted.
    """
    warnings = []
    records: dict[str, Record] = {}
    manifest = folder / NAME
    if manifest.exists():
        try:
            content = json.loads(_text(manifest))
            records = {entry["name"]: Record(**entry) for entry in content["items"]}
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            warnings.append(f"{str(manifest)!r} is cut off or damaged; what it says of finished files is not trusted")
    for line in _text(folder / _JOURNAL).splitlines():
        try:
            record = Record(**json.loads(line))
            records[record.name] = record
        except (ValueError, TypeError, RecursionError):
            warnings.append(f"{_JOURNAL}: a damaged line is not trusted")
    return records, warnings


def is_whole(folder: Path, record: Record | None, fingerprint: str) -> bool:
    """Whether the file of `record` is there, is what was written, and is what is asked for now."""
    if record is None or record.status != "succeeded" or record.request != fingerprint:
        return False
    try:
        return hashlib.sha256((folder / record.name).read_bytes()).hexdigest() == record.sha256
    except OSError:
        return False


def write_manifest(folder: Path, about: Mapping[str, Any], records: Iterable[Record]) -> Path:
    """Write the manifest and remove the journal.

    Raises:
        OSError: the manifest could not be written; the journal is still there.
    """
    listed = list(records)
    content = {"format": FORMAT, **about, "counts": count(listed), "items": [asdict(record) for record in listed]}
    path = folder / NAME
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    start_journal(folder)
    return path


def count(records: Iterable[Record]) -> dict[str, int]:
    """Return how many records there are of each status."""
    counts = dict.fromkeys(("succeeded", "failed", "unfinished"), 0)
    for record in records:
        counts[record.status] += 1
    return counts


def start_journal(folder: Path) -> None:
    """Remove an old journal."""
    (folder / _JOURNAL).unlink(missing_ok=True)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
