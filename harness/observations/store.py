"""Write raw observations line by line, and read them back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.observations.lines import LineWriter, read_lines
from harness.run.records import CallRecord, CellMeasurement, Ending, RaisedError, TensorMark

if TYPE_CHECKING:
    from pathlib import Path

VERSION = "observations/1"


@dataclass(frozen=True)
class Observations:
    """All that was seen in one run.

    Attributes:
        references: sequential outputs, `references[key][request]`.
        cells: the measured cells, in the order they were run.
    """

    references: dict[str, tuple[CallRecord, ...]]
    cells: tuple[CellMeasurement, ...]


class ObservationWriter(LineWriter):
    """Context manager that writes `path` line by line."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, VERSION)

    def references(self, key: str, calls: tuple[CallRecord, ...]) -> None:
        """Append the reference calls filed under `key`."""
        for call in calls:
            self._write("reference", {"references": key, **asdict(call)})

    def cell(self, cell: CellMeasurement) -> None:
        """Append one cell: a line of its own, then a line per call."""
        self._write("cell", asdict(replace(cell, calls=(), after=())))
        for phase, calls in (("parallel", cell.calls), ("after", cell.after)):
            for call in calls:
                where = {"subject": cell.subject, "threads": cell.threads, "phase": phase}
                self._write("call", {**where, **asdict(call)})


def read_observations(path: Path) -> Observations:
    """Read what an `ObservationWriter` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, or of another version.
    """
    references: dict[str, list[CallRecord]] = {}
    cells: list[CellMeasurement] = []
    try:
        for line in read_lines(path, VERSION)[1:]:
            kind = line.pop("line")
            if kind == "reference":
                references.setdefault(line.pop("references"), []).append(_call(line))
            elif kind == "cell":
                cells.append(CellMeasurement(**{**line, "calls": (), "after": ()}))
            else:
                cells[-1] = _with_call(cells[-1], line)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as observations: {error!r}") from error
    return Observations({key: tuple(calls) for key, calls in references.items()}, tuple(cells))


def _with_call(cell: CellMeasurement, line: dict[str, Any]) -> CellMeasurement:
    phase = line.pop("phase")
    line.pop("subject"), line.pop("threads")
    call = _call(line)
    if phase == "after":
        return replace(cell, after=(*cell.after, call))
    return replace(cell, calls=(*cell.calls, call))


def _call(line: dict[str, Any]) -> CallRecord:
    stages = {name: tuple(_mark(mark) for mark in marks) for name, marks in line["stages"].items()}
    return CallRecord(
        **{
            **line,
            "ending": Ending(line["ending"]),
            "output": _mark(line["output"]) if line["output"] else None,
            "error": _error(line["error"]) if line["error"] else None,
            "stages": stages,
        }
    )


def _mark(line: dict[str, Any]) -> TensorMark:
    return TensorMark(tuple(line["shape"]), line["dtype"], line["sha256"])


def _error(line: dict[str, Any]) -> RaisedError:
    cause = _error(line["cause"]) if line["cause"] else None
    return RaisedError(tuple(line["kinds"]), line["message"], tuple(line["traceback"]), cause)
