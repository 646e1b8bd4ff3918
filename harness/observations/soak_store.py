"""Write what a soak sees line by line, and read it back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Self

from harness.errors import SavedFileError
from harness.run.soak.records import (
    BatchCycle,
    BatchRun,
    SegmentEnding,
    SoakReference,
    SoakRound,
    Submission,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path
    from types import TracebackType

VERSION = "soak-observations/1"


@dataclass(frozen=True)
class SoakObservations:
    """All that a soak has seen: references by request, rounds and batches in the order in which they were run."""

    references: dict[str, SoakReference]
    rounds: tuple[SoakRound, ...]
    cycles: tuple[BatchCycle, ...]


class SoakWriter:
    """Context manager that writes `path`, flushing after each round: a killed soak leaves its data."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="utf-8")
        self._write("version", {"version": VERSION})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def references(self, references: Iterable[SoakReference]) -> None:
        """Append the references."""
        for reference in references:
            self._write("reference", asdict(reference))

    def round(self, seen: SoakRound) -> None:
        """Append a round."""
        self._write("round", asdict(seen))

    def cycle(self, cycle: BatchCycle) -> None:
        """Append a batch that was ended and resumed."""
        self._write("cycle", asdict(cycle))

    def _write(self, kind: str, content: dict[str, Any]) -> None:
        self._file.write(json.dumps({"line": kind, **content}) + "\n")
        self._file.flush()


def read_soak(path: Path) -> SoakObservations:
    """Read what a `SoakWriter` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, or of another version.
    """
    try:
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        version = lines[0].get("version") if lines else None
        if version != VERSION:
            raise SavedFileError(f"{path}: version {version!r} is not {VERSION!r}, which this harness reads")
        kinds = [(line.pop("line"), line) for line in lines[1:]]
        return SoakObservations(
            {line["request"]: SoakReference(**line) for kind, line in kinds if kind == "reference"},
            tuple(_round(line) for kind, line in kinds if kind == "round"),
            tuple(_cycle(line) for kind, line in kinds if kind == "cycle"),
        )
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as a soak's observations: {error!r}") from error


def _round(line: dict[str, Any]) -> SoakRound:
    endings = (
        SegmentEnding(**{**ending, "error": tuple(ending["error"]), "file_error": tuple(ending["file_error"])})
        for ending in line["endings"]
    )
    return SoakRound(
        **{
            **line,
            "submissions": tuple(Submission(**submission) for submission in line["submissions"]),
            "endings": tuple(endings),
            "fired": tuple((index, fault) for index, fault in line["fired"]),
            "threads_before": tuple(line["threads_before"]),
            "threads_after": tuple(line["threads_after"]),
        }
    )


def _cycle(line: dict[str, Any]) -> BatchCycle:
    runs = (BatchRun(**{**run, "partial": tuple(run["partial"])}) for run in line["runs"])
    return BatchCycle(line["expected"], tuple(runs))
