"""Write what a soak sees line by line, and read it back."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.observations.lines import LineWriter, read_lines
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

VERSION = "soak-observations/1"


@dataclass(frozen=True)
class SoakObservations:
    """All that a soak has seen: references by request, rounds and batches in the order in which they were run."""

    references: dict[str, SoakReference]
    rounds: tuple[SoakRound, ...]
    cycles: tuple[BatchCycle, ...]


class SoakWriter(LineWriter):
    """Context manager that writes `path` line by line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, VERSION)

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


def read_soak(path: Path) -> SoakObservations:
    """Read what a `SoakWriter` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, or of another version.
    """
    try:
        kinds = [(line.pop("line"), line) for line in read_lines(path, VERSION)[1:]]
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
