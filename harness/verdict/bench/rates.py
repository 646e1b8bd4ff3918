"""From cells to rates, and from rates to ratios within one round."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.verdict.bench.statistics import Estimate, estimate

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from harness.run.bench.records import ArrivalCell, BenchCall, BenchCell

BASELINE = "sequential"


@dataclass(frozen=True)
class Reference:
    """What an output of one request has to be, and the cell that it was heard in."""

    audio_sha256: str
    cell: BenchCell


@dataclass(frozen=True)
class Rates:
    """One cell in rates. Calls that raised count for nothing.

    Attributes:
        utterances_per_s: calls answered per second of wall time.
        audio_s_per_s: seconds of audio per second of wall time.
        real_time_factor: its inverse: wall time for a second of audio.
        cpu_s_per_audio_s: processor time for a second of audio.
        tokens_per_s: speech tokens per second; None if the contestant does not tell them.
    """

    utterances_per_s: float
    audio_s_per_s: float
    real_time_factor: float | None
    cpu_s_per_audio_s: float | None
    tokens_per_s: float | None


def rates_of(cell: BenchCell, sample_rate: int) -> Rates:
    """Return the rates of a cell that ran."""
    answered = [call for call in cell.calls if call.error is None]
    audio_s = sum(call.samples for call in answered) / sample_rate
    tokens = [call.tokens for call in answered if call.tokens is not None]
    return Rates(
        utterances_per_s=len(answered) / cell.wall_s,
        audio_s_per_s=audio_s / cell.wall_s,
        real_time_factor=cell.wall_s / audio_s if audio_s else None,
        cpu_s_per_audio_s=cell.cpu_s / audio_s if audio_s else None,
        tokens_per_s=sum(tokens) / cell.wall_s if len(tokens) == len(answered) and tokens else None,
    )


def ran(cells: Iterable[BenchCell], part: str, subject: str, workers: int | None = None) -> list[BenchCell]:
    """Return the timed cells of one contestant that ran, all numbers of workers unless one is given."""
    return [
        cell
        for cell in cells
        if cell.part == part
        and cell.subject == subject
        and cell.round >= 0
        and cell.not_run is None
        and workers in (None, cell.workers)
    ]


def speedup(
    cells: Sequence[BenchCell], part: str, subject: str, workers: int, *, against: str = BASELINE
) -> Estimate | None:
    """Return the ratio of work per second to the nearest `against` (one at a time) of the same round, over all rounds.

    Cells are in the order in which they ran.
    Requests that both cells answered are compared by the time `against` took for them; that is exact. If `against`
    spoke only a part of them, which a full-size run cannot avoid, seconds of audio per second are compared.
    """
    places = {id(cell): place for place, cell in enumerate(cells)}
    baselines = ran(cells, part, against)
    ratios = []
    for cell in ran(cells, part, subject, workers):
        of_round = [baseline for baseline in baselines if baseline.round == cell.round]
        # Of two that are as near, the later one.
        away = {places[id(baseline)] - places[id(cell)]: baseline for baseline in of_round}
        nearest = min(away, key=lambda places_away: (abs(places_away), -places_away), default=None)
        if nearest is not None and (ratio := round_ratio(cell, away[nearest])) is not None:
            ratios.append(ratio)
    return estimate(ratios)


def round_ratio(cell: BenchCell, baseline: BenchCell) -> float | None:
    """Return how many times faster `cell` is than `baseline`, which served its calls one at a time."""
    spent = {call.request: call.ended_s - call.started_s for call in baseline.calls if call.error is None}
    wanted = [call for call in cell.calls if call.error is None]
    if not wanted or not spent:
        return None
    if all(call.request in spent for call in wanted):
        return sum(spent[call.request] for call in wanted) / cell.wall_s
    ours = sum(call.samples for call in wanted) / cell.wall_s
    theirs = sum(call.samples for call in baseline.calls if call.error is None) / sum(spent.values())
    return ours / theirs if theirs else None


def scaling_table(cells: Sequence[BenchCell], part: str, sample_rate: int) -> list[dict[str, Any]]:
    """Return one row per contestant and number of workers that ran, medians over rounds."""
    keys = dict.fromkeys((cell.subject, cell.workers) for cell in cells if cell.part == part and cell.round >= 0)
    expected = references(cells, part)
    seen: dict[str, dict[int, str]] = {subject: {} for subject, _ in keys}
    rows = []
    for subject, workers in keys:
        mine = ran(cells, part, subject, workers)
        if not mine:
            skipped = [cell for cell in cells if (cell.part, cell.subject, cell.workers) == (part, subject, workers)]
            reasons = dict.fromkeys(cell.not_run for cell in skipped if cell.not_run)
            rows.append({"subject": subject, "workers": workers, "rounds": 0, "not_run": ", ".join(reasons)})
            continue
        rates = [rates_of(cell, sample_rate) for cell in mine]
        row: dict[str, Any] = {"subject": subject, "workers": workers, "rounds": len(mine), "not_run": None}
        row["calls"] = len(mine[0].calls)
        for name in Rates.__dataclass_fields__:
            known = [value for each in rates if (value := getattr(each, name)) is not None]
            found = estimate(known)
            row[name] = asdict(found) if found else None
        ratio = speedup(cells, part, subject, workers)
        row["speedup"] = asdict(ratio) if ratio else None
        row["outputs"] = check_outputs(mine, expected.get(subject, {}), seen[subject])
        row["wrong_outputs"] = wrong_outputs(row["outputs"])
        rows.append(row)
    return rows


def references(cells: Iterable[BenchCell], part: str) -> dict[str, dict[int, Reference]]:
    """Return, for every contestant, what its outputs have to be, for each request it is checked for.

    The wrapper, lock and pool are held to stock alone; an engine to itself, one request at a time.
    """
    alone: dict[str, dict[int, Reference]] = {}
    for cell in cells:
        if cell.part == part and cell.workers == 1 and cell.not_run is None:
            known = alone.setdefault(cell.subject, {})
            for call in cell.calls:
                if call.error is None:
                    known.setdefault(call.request, Reference(call.audio_sha256, cell))
    stock = alone.get(BASELINE, {})
    names = {cell.subject for cell in cells}
    own = {name: alone.get(name, {}) for name in names if name.startswith(("engine", "sequential-"))}
    return {**dict.fromkeys(names, stock), **own}


def check_outputs(
    cells: Iterable[BenchCell | ArrivalCell], expected: Mapping[int, Reference], seen: dict[int, str]
) -> dict[str, int]:
    """Count the outputs of timed cells: the same as the reference, different, without a reference, raised.

    A cell is never its own reference. What has no reference is still held to the first output of the same request,
    kept in `seen` from cell to cell.
    """
    count = {"same": 0, "different": 0, "repeated": 0, "repeated_different": 0, "first_seen": 0, "raised": 0}
    for cell in cells:
        for call in cell.calls:
            count[_check(call, cell, expected.get(call.request), seen)] += 1
    return count


def wrong_outputs(outputs: Mapping[str, int]) -> int:
    """Return how many outputs of a row are not what they have to be."""
    return outputs["different"] + outputs["repeated_different"] + outputs["raised"]


def _check(call: BenchCall, cell: BenchCell | ArrivalCell, expected: Reference | None, seen: dict[int, str]) -> str:
    if call.error is not None:
        return "raised"
    if expected is not None and expected.cell is not cell:
        return "same" if call.audio_sha256 == expected.audio_sha256 else "different"
    if call.request in seen:
        return "repeated" if call.audio_sha256 == seen[call.request] else "repeated_different"
    seen[call.request] = call.audio_sha256
    return "first_seen"
