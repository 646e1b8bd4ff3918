"""From rounds to paired numbers: one log ratio for each metric and round, positive where head is worse."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from harness.run.gate.records import BASE, HEAD
from harness.verdict.bench.scaling_law import fit_scaling_law

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.run.gate.records import GateCell, Revision, Round, Turn
    from harness.verdict.bench.scaling_law import ScalingLaw

Kind = Literal["throughput", "cpu", "law", "memory", "control", "benchmark"]
NAMES = {"stateless": "wrapper", "engine": "engine"}
LAW_SUBJECT = "stateless"
# Memory differences below these do not matter, however large they are in proportion.
LEAST_SLOPE_MIB, LEAST_PEAK_MIB = 4.0, 32.0


@dataclass(frozen=True)
class Samples:
    """A metric's paired numbers.

    Attributes:
        name: for thresholds and files.
        title: for people.
        kind: what sort of number it is.
        subject: whose work; None for a control and a benchmark.
        workers: how many called; None where that does not apply.
        unit: of the plain values.
        base: plain value of every round.
        head: plain value of every round.
        worse_log: log of how many times worse head was, for every round.
    """

    name: str
    title: str
    kind: Kind
    subject: str | None
    workers: int | None
    unit: str
    base: tuple[float, ...]
    head: tuple[float, ...]
    worse_log: tuple[float, ...]


def metrics_of(rounds: Sequence[Round], injected: float = 0.0) -> tuple[Samples, ...]:
    """Return every metric of `rounds`; in a calibration, of the turns with one injected slow-down."""
    if not rounds:
        return ()
    return (*_scalars(rounds, injected), *_laws(rounds, injected), *_memory(rounds, injected))


def controls_of(rounds: Sequence[Round], injected: float = 0.0) -> tuple[Samples, ...]:
    """Return the control kernels' samples."""
    if not rounds:
        return ()
    found = []
    for name in rounds[0].turns[0].controls:

        def seconds(turn: Turn, name: str = name) -> float:
            return turn.controls[name]

        base, head = _both(rounds, injected, seconds)
        title = f"control: {name}-bound kernel"
        found.append(_samples(f"control/{name}", title, "control", None, None, "s", base, head, 1))
    return tuple(found)


def throughput_points(rounds: Sequence[Round], revision: Revision, injected: float = 0.0) -> dict[int, list[float]]:
    """Return the wrapper's utterances per second of every round, by the number of workers."""
    points: dict[int, list[float]] = {}
    for cell in _cells(rounds):
        if cell.subject == LAW_SUBJECT:
            values = [_mean_log(one, revision, injected, _of_cell(cell, _rate)) for one in rounds]
            points[cell.workers] = [math.exp(value) for value in values]
    return points


def memory_points(rounds: Sequence[Round], revision: Revision, injected: float = 0.0) -> dict[int, list[float]]:
    """Return the MiB at the wrapper's peak over what the process held with the model loaded, by workers and round."""
    points: dict[int, list[float]] = {}
    for cell in _cells(rounds):
        if cell.subject != LAW_SUBJECT:
            continue
        points[cell.workers] = [
            statistics.fmean(
                _of_cell(cell, lambda found: found.peak_mib)(turn) - turn.loaded_mib
                for turn in _turns(one, revision, injected)
            )
            for one in rounds
        ]
    return points


def slopes(points: dict[int, list[float]]) -> list[float]:
    """Return the slope over workers of every round, by least squares."""
    workers = sorted(points)
    return [float(np.polyfit(workers, values, 1)[0]) for values in zip(*(points[n] for n in workers), strict=True)]


def _scalars(rounds: Sequence[Round], injected: float) -> Iterator[Samples]:
    for cell in _cells(rounds):
        who = f"{NAMES.get(cell.subject, cell.subject)}, {cell.workers} worker{'s' if cell.workers > 1 else ''}"
        base, head = _both(rounds, injected, _of_cell(cell, _rate))
        name = f"throughput/{cell.subject}/{cell.workers}"
        yield _samples(
            name, f"utterances/s, {who}", "throughput", cell.subject, cell.workers, "utterances/s", base, head, -1
        )
        base, head = _both(rounds, injected, _of_cell(cell, lambda found: found.cpu_s / found.audio_s))
        name = f"cpu/{cell.subject}/{cell.workers}"
        yield _samples(name, f"CPU s per audio s, {who}", "cpu", cell.subject, cell.workers, "s/s", base, head, 1)


def _laws(rounds: Sequence[Round], injected: float) -> Iterator[Samples]:
    """Compare the law's two costs as what they cost at the most workers: factors, as all the others are."""
    base, head = (_fits(throughput_points(rounds, revision, injected)) for revision in (BASE, HEAD))
    if not base or not head:
        return
    most = max(cell.workers for cell in _cells(rounds) if cell.subject == LAW_SUBJECT)
    costs: dict[str, Callable[[ScalingLaw], float]] = {
        "contention": lambda law: 1 + law.contention * (most - 1),
        "coherence": lambda law: 1 + law.coherence * most * (most - 1),
    }
    for name, cost in costs.items():
        ours, theirs = [[cost(law) for law in laws] for laws in (base, head)]
        title = f"scaling law: {name}'s cost at {most} workers"
        yield _samples(f"law/{name}", title, "law", LAW_SUBJECT, None, "times", ours, theirs, 1)


def _memory(rounds: Sequence[Round], injected: float) -> Iterator[Samples]:
    points = {revision: memory_points(rounds, revision, injected) for revision in (BASE, HEAD)}
    if len(points[BASE]) < 2:  # noqa: PLR2004 - a slope needs two points
        return
    base, head = (slopes(points[revision]) for revision in (BASE, HEAD))
    title = "memory: MiB per further worker"
    yield _samples("memory/slope", title, "memory", LAW_SUBJECT, None, "MiB", base, head, 1, LEAST_SLOPE_MIB)
    most = max(points[BASE])
    base, head = (points[revision][most] for revision in (BASE, HEAD))
    title = f"memory: MiB at the peak of {most} workers"
    yield _samples("memory/peak", title, "memory", LAW_SUBJECT, None, "MiB", base, head, 1, LEAST_PEAK_MIB)


def _samples(
    name: str,
    title: str,
    kind: Kind,
    subject: str | None,
    workers: int | None,
    unit: str,
    base: Sequence[float],
    head: Sequence[float],
    sign: int,
    added: float = 0.0,
) -> Samples:
    """Pair values; `sign` is 1 where more is worse, and `added` keeps small amounts from making large ratios."""
    logs = tuple(
        sign * math.log((max(ours, 0.0) + added) / (max(theirs, 0.0) + added))
        for theirs, ours in zip(base, head, strict=True)
    )
    return Samples(name, title, kind, subject, workers, unit, tuple(base), tuple(head), logs)


def _both(rounds: Sequence[Round], injected: float, value: Callable[[Turn], float]) -> tuple[list[float], list[float]]:
    """Return base's and head's value of every round: the geometric mean over its turns."""
    base = [math.exp(_mean_log(one, BASE, 0.0, value)) for one in rounds]
    head = [math.exp(_mean_log(one, HEAD, injected, value)) for one in rounds]
    return base, head


def _mean_log(one: Round, revision: Revision, injected: float, value: Callable[[Turn], float]) -> float:
    return statistics.fmean(math.log(value(turn)) for turn in _turns(one, revision, injected))


def _turns(one: Round, revision: Revision, injected: float) -> list[Turn]:
    wanted = injected if revision == HEAD else 0.0
    return [turn for turn in one.turns if turn.revision == revision and turn.injected == wanted]


def _cells(rounds: Sequence[Round]) -> tuple[GateCell, ...]:
    return rounds[0].turns[0].cells


def _of_cell(like: GateCell, value: Callable[[GateCell], float]) -> Callable[[Turn], float]:
    def of_turn(turn: Turn) -> float:
        return value(next(one for one in turn.cells if (one.subject, one.workers) == (like.subject, like.workers)))

    return of_turn


def _rate(cell: GateCell) -> float:
    return cell.calls / cell.wall_s


def _fits(points: dict[int, list[float]]) -> list[ScalingLaw]:
    workers = sorted(points)
    found = [fit_scaling_law(workers, values) for values in zip(*(points[n] for n in workers), strict=True)]
    return [law for law in found if law is not None] if all(law is not None for law in found) else []
