"""Write a benchmark's raw observations line by line, and read them back."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError, UsageError
from harness.observations.lines import LineWriter, read_lines
from harness.run.bench.records import (
    ArrivalCell,
    BenchCall,
    BenchCell,
    ContestantFacts,
    Fidelity,
    KeptMemory,
    LimitMeasurement,
    ModelFacts,
    Record,
    StageMeasurement,
    TokenComparison,
    TokenCost,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

VERSION = "bench-observations/1"
KINDS: Mapping[str, Any] = {
    kind.__name__: kind
    for kind in (
        ArrivalCell,
        BenchCell,
        ContestantFacts,
        Fidelity,
        KeptMemory,
        LimitMeasurement,
        ModelFacts,
        StageMeasurement,
        TokenComparison,
        TokenCost,
    )
}


@dataclass(frozen=True)
class BenchObservations:
    """All that was seen in one run; `facts` are environment, command and workload."""

    facts: dict[str, Any] = field(default_factory=dict)
    cells: tuple[BenchCell, ...] = ()
    arrivals: tuple[ArrivalCell, ...] = ()
    contestants: tuple[ContestantFacts, ...] = ()
    limits: tuple[LimitMeasurement, ...] = ()
    models: tuple[ModelFacts, ...] = ()
    stages: tuple[StageMeasurement, ...] = ()
    comparisons: tuple[TokenComparison, ...] = ()
    token_costs: tuple[TokenCost, ...] = ()
    fidelity: tuple[Fidelity, ...] = ()
    kept: tuple[KeptMemory, ...] = ()

    @property
    def model(self) -> ModelFacts | None:
        return self.models[0] if self.models else None

    def records(self) -> Iterator[Record]:
        """Yield every record, kind by kind."""
        for place in PLACES.values():
            yield from getattr(self, place)


PLACES = {
    "BenchCell": "cells",
    "ArrivalCell": "arrivals",
    "ContestantFacts": "contestants",
    "LimitMeasurement": "limits",
    "ModelFacts": "models",
    "StageMeasurement": "stages",
    "TokenComparison": "comparisons",
    "TokenCost": "token_costs",
    "Fidelity": "fidelity",
    "KeptMemory": "kept",
}


class BenchWriter(LineWriter):
    """Context manager that writes `path` line by line."""

    def __init__(self, path: Path, facts: Mapping[str, Any]) -> None:
        super().__init__(path, VERSION, facts=dict(facts))

    def add(self, record: Record) -> None:
        """Append one record."""
        self._write(type(record).__name__, asdict(record))


def read_bench_observations(path: Path) -> BenchObservations:
    """Read what a `BenchWriter` wrote.

    Raises:
        SavedFileError: the file is missing, damaged, or of another version.
    """
    found: dict[str, list[Any]] = {place: [] for place in PLACES.values()}
    try:
        lines = read_lines(path, VERSION)
        for line in lines[1:]:
            kind = line.pop("line")
            found[PLACES[kind]].append(_record(kind, line))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as a benchmark's observations: {error!r}") from error
    return BenchObservations(lines[0]["facts"], **{place: tuple(records) for place, records in found.items()})


def merge_bench_observations(runs: Sequence[BenchObservations]) -> BenchObservations:
    """Put runs on one machine together: their rounds follow each other, and what they say twice is said once.

    Raises:
        UsageError: they are not of the same machine, versions, commit, model and seed.
    """
    first = runs[0]
    for run in runs[1:]:
        for name, mine in _identity(first).items():
            if mine != (other := _identity(run)[name]):
                raise UsageError(
                    f"--merge: {name} {other!r} beside {mine!r}; expected runs of one commit and model on one machine"
                )
    cells: list[BenchCell] = []
    for run in runs:
        last = {part: max(cell.round for cell in cells if cell.part == part) for part in {cell.part for cell in cells}}
        cells += [
            replace(cell, round=cell.round + last.get(cell.part, -1) + 1) if cell.round >= 0 else cell
            for cell in run.cells
        ]
    contestants = {(one.part, one.name): one for run in reversed(runs) for one in run.contestants}
    kept = {one.name: one for run in reversed(runs) for one in run.kept}
    largest = max(
        (run.models for run in runs if run.models), key=lambda models: len(models[0].prompt_tokens), default=()
    )
    facts = {**first.facts, "command": _merged_commands([run.facts["command"] for run in runs])}
    joined: dict[str, Any] = {
        place: tuple(record for run in runs for record in getattr(run, place)) for place in PLACES.values()
    }
    # Runs of one seed speak the same utterances: what was compared twice, with the same result, is one comparison.
    joined |= {place: tuple(dict.fromkeys(joined[place])) for place in ("comparisons", "fidelity")}
    joined |= {"cells": tuple(cells), "contestants": tuple(contestants.values())}
    joined |= {"kept": tuple(kept.values()), "models": largest}
    return BenchObservations(facts, **joined)


def _identity(run: BenchObservations) -> dict[str, Any]:
    """Return what has to be equal for two runs to be of one machine and model, by its name."""
    environment, command = run.facts["environment"], run.facts["command"]
    machine = {name: environment.get(name) for name in ("cpu", "cores", "memory_gib", "gpu", "torch_threads", "commit")}
    machine["torch"] = environment.get("versions", {}).get("torch")
    return {**machine, **{name: command.get(name) for name in ("device", "profile", "checkpoint", "seed")}}


def _merged_commands(commands: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what is common to all, and the different values of what is not."""
    merged: dict[str, Any] = {}
    for name in dict.fromkeys(name for command in commands for name in command):
        values = [command[name] for command in commands if name in command]
        merged[name] = values[0] if all(value == values[0] for value in values) else values
    return merged


def _record(kind: str, line: dict[str, Any]) -> Record:
    if "calls" in line:
        line["calls"] = tuple(BenchCall(**call) for call in line["calls"])
    plain: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in line.items()}
    record: Record = KINDS[kind](**plain)
    return record
