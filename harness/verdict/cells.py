"""Add up the calls of a cell."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from harness.run.records import CallRecord, CellMeasurement, Ending
from harness.verdict.classify import Finding, Outcome, classify_call

if TYPE_CHECKING:
    from harness.observations.store import Observations

BASELINE = "sequential"
EXAMPLES_PER_CELL = 5


@dataclass(frozen=True)
class CallSpan:
    """When one call of the parallel phase ran, in seconds from the start of the cell, and what became of it.

    `started_s` is `None` for a call that never began, `ended_s` for one that never ended. `alone_s` is what the
    reference of the same request took, by itself.
    """

    worker: int
    request: int
    started_s: float | None
    ended_s: float | None
    alone_s: float | None
    outcome: str


@dataclass(frozen=True)
class CellSummary:
    """One cell in numbers; the fields are those of `cells` in `stress.json`.

    `utterances` is the sum of `bit_identical`, `value_corruptions`, `shape_corruptions`, `crashes`, `hangs`
    and `not_started`. Rates count only calls that returned. `speedup` is against the `sequential` cell of the
    same round; `None` where there is none. Memory is resident memory in MiB; `rss_growth_per_thread_mib` is
    the cell's peak less what the process held before it, per worker thread. `calls` are the parallel phase's, on the
    clock of the cell.
    """

    subject: str
    threads: int
    workers: int
    utterances: int
    completed: int
    bit_identical: int
    value_corruptions: int
    shape_corruptions: int
    crashes: int
    hangs: int
    not_started: int
    sequential_after_ok: bool | None
    sequential_after_calls: int
    wall_s: float
    utterances_per_s: float | None
    audio_s_per_s: float | None
    speedup: float | None
    rss_before_mib: float
    peak_rss_mib: float
    rss_growth_per_thread_mib: float
    errors: tuple[str, ...]
    stages: dict[str, int]
    not_run: str | None
    calls: tuple[CallSpan, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def summarise(observations: Observations, sample_rate: int | None) -> tuple[CellSummary, ...]:
    """Summarise every cell of a run; `sample_rate` in Hz turns samples into seconds of audio."""
    cells = [_summarise_cell(cell, observations, sample_rate) for cell in observations.cells]
    baseline = {cell.threads: cell.utterances_per_s for cell in cells if cell.subject == BASELINE}
    return tuple(replace(cell, speedup=_ratio(cell.utterances_per_s, baseline.get(cell.threads))) for cell in cells)


def _summarise_cell(cell: CellMeasurement, observations: Observations, sample_rate: int | None) -> CellSummary:
    references = observations.references.get(cell.references, ())

    def judge(calls: tuple[CallRecord, ...]) -> list[Finding]:
        return [classify_call(call, references[call.request]) for call in calls]

    findings, after = judge(cell.calls), judge(cell.after)
    count = Counter(finding.outcome for finding in findings)
    returned = [call for call in cell.calls if call.ending is Ending.RETURNED]
    samples = sum(call.samples for call in returned)
    audio_s = samples / sample_rate if sample_rate else None
    faults = [finding for finding in (*findings, *after) if finding.outcome is not Outcome.IDENTICAL]
    return CellSummary(
        subject=cell.subject,
        threads=cell.threads,
        workers=cell.workers,
        utterances=len(cell.calls),
        completed=len(returned),
        bit_identical=count[Outcome.IDENTICAL],
        value_corruptions=count[Outcome.VALUE],
        shape_corruptions=count[Outcome.SHAPE],
        crashes=count[Outcome.CRASH],
        hangs=count[Outcome.HANG],
        not_started=count[Outcome.NOT_STARTED],
        sequential_after_ok=all(item.outcome is Outcome.IDENTICAL for item in after) if after else None,
        sequential_after_calls=len(after),
        wall_s=cell.wall_s,
        utterances_per_s=_ratio(len(returned), cell.wall_s),
        audio_s_per_s=_ratio(audio_s, cell.wall_s),
        speedup=None,
        rss_before_mib=cell.rss_before_mib,
        peak_rss_mib=cell.peak_rss_mib,
        rss_growth_per_thread_mib=(cell.peak_rss_mib - cell.rss_before_mib) / cell.workers,
        errors=tuple(dict.fromkeys(finding.detail for finding in faults))[:EXAMPLES_PER_CELL],
        stages=dict(Counter(finding.stage for finding in findings if finding.stage)),
        not_run=cell.not_run,
        calls=tuple(
            _span(call, references[call.request], finding) for call, finding in zip(cell.calls, findings, strict=True)
        ),
    )


def _span(call: CallRecord, reference: CallRecord, finding: Finding) -> CallSpan:
    alone = None
    if reference.started_s is not None and reference.ended_s is not None:
        alone = reference.ended_s - reference.started_s
    return CallSpan(call.worker, call.request, call.started_s, call.ended_s, alone, str(finding.outcome))


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None
