"""`soak.json`: everything a soak concluded, and what it concluded it from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.run.soak.batches import FULL, SIGINT, SIGKILL
from harness.run.soak.planted import DEFECTS
from harness.run.soak.records import SOAK, WARM_UP
from harness.run.soak.schedule import FAULTS, SHUT_DOWN
from harness.verdict.judge import EXIT_INCONCLUSIVE, EXIT_PROVEN, EXIT_UNSAFE, Status
from harness.verdict.soak import VERSION
from harness.verdict.soak.batches import batch_faults, batch_findings
from harness.verdict.soak.growth import LEAST_LEAK_MIB, Slope, memory_slope, threads_left
from harness.verdict.soak.segments import SegmentCounts, count_segments

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.observations.soak_store import SoakObservations
    from harness.run.soak.records import SoakReference, SoakRound

EXPECTED_FAULTS = (*FAULTS, SHUT_DOWN, *(f"batch: {fault}" for fault in (SIGKILL, SIGINT, FULL)))
_OF_SEGMENTS = ("lost", "duplicates", "silent", "different", "swallowed", "unexpected")


@dataclass(frozen=True)
class _Phase:
    """Some rounds, judged; `findings` has what each check has to say, empty where it has nothing."""

    counts: SegmentCounts
    memory: Slope | None
    findings: dict[str, list[str]]

    @property
    def failed(self) -> list[str]:
        return [check for check, said in self.findings.items() if said]


def judge_soak(observations: SoakObservations, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Judge a soak by its observations and return the content of `soak.json`; `facts` are kept as they are."""
    phases: dict[str, list[SoakRound]] = defaultdict(list)
    for seen in observations.rounds:
        phases[seen.phase].append(seen)
    soak = _judge(phases[SOAK], observations.references)
    # What a process fills once is cold in the first of these rounds alone; memory and threads come to rest in them.
    warm_up = count_segments(phases[WARM_UP], observations.references)
    for check in _OF_SEGMENTS:
        soak.findings[check] += [f"warming up: {line}" for line in warm_up.said.get(check, ())]
    soak.findings["batches"] = batch_findings(observations.cycles)
    faults = {**soak.counts.faults, **batch_faults(observations.cycles)}
    power = [_power(defect.name, defect.caught_by, phases, observations.references) for defect in DEFECTS]
    status, reason = _conclude(soak, faults, power)
    exits = {Status.SAFE: EXIT_PROVEN, Status.UNSAFE: EXIT_UNSAFE, Status.INCONCLUSIVE: EXIT_INCONCLUSIVE}
    return {
        "version": VERSION,
        **facts,
        "references": len(observations.references),
        "rounds": len(phases[SOAK]),
        "segments": soak.counts.as_json(),
        "faults": faults,
        "memory": None if soak.memory is None else soak.memory.as_json(),
        "threads_left": threads_left(phases[SOAK]),
        "workers_replaced": sum(seen.workers_replaced for seen in phases[SOAK]),
        "batches": len(observations.cycles),
        "checks": soak.findings,
        "power": power,
        "verdict": {"status": str(status), "exit_status": exits[status], "reason": reason},
    }


def _judge(rounds: Sequence[SoakRound], references: Mapping[str, SoakReference]) -> _Phase:
    counts = count_segments(rounds, references)
    findings = {check: list(counts.said.get(check, ())) for check in _OF_SEGMENTS}
    findings["threads"] = [f"thread {name!r} was left" for name in threads_left(rounds)]
    memory = memory_slope(rounds)
    findings["memory"] = [_growth(memory)] if memory is not None and memory.grows else []
    return _Phase(counts, memory, findings)


def _power(
    name: str, caught_by: str, phases: Mapping[str, Sequence[SoakRound]], references: Mapping[str, SoakReference]
) -> dict[str, Any]:
    judged = _judge(phases.get(name, ()), references)
    said = judged.findings[caught_by]
    return {"planted": name, "check": caught_by, "caught": bool(said), "said": said[0] if said else ""}


def _conclude(
    soak: _Phase, faults: Mapping[str, Mapping[str, int]], power: Sequence[Mapping[str, Any]]
) -> tuple[Status, str]:
    if soak.failed:
        told = "; ".join(f"{check}: {soak.findings[check][0]}" for check in soak.failed)
        return Status.UNSAFE, told
    doubt = _doubt(faults, power) or _doubt_of_memory(soak.memory)
    if doubt or soak.memory is None:
        return Status.INCONCLUSIVE, doubt
    counts = soak.counts
    happened = sum(entry["happened"] for entry in faults.values())
    return Status.SAFE, (
        f"{counts.submitted} segments = {counts.succeeded} results + {counts.failed} explicit failures under "
        f"{happened} faults of {len(EXPECTED_FAULTS)} kinds; every result has the bits of stock alone; memory changes "
        f"by {soak.memory.low:+.1f} to {soak.memory.high:+.1f} MiB per 1000 segments, and "
        f"{_would_have_been_seen(soak.memory)}"
    )


def _doubt(faults: Mapping[str, Mapping[str, int]], power: Sequence[Mapping[str, Any]]) -> str:
    """Return why the run proves nothing, whatever it saw; empty if it does."""
    missed = [entry["planted"] for entry in power if not entry["caught"]]
    if missed:
        return f"planted and not caught: {', '.join(missed)}"
    absent = [fault for fault in EXPECTED_FAULTS if not faults.get(fault, {}).get("happened")]
    if len(absent) == len(EXPECTED_FAULTS):
        return "no fault was injected"
    return f"never happened: {', '.join(absent)}" if absent else ""


def _doubt_of_memory(memory: Slope | None) -> str:
    if memory is None:
        return "too few rounds to tell whether memory grows"
    if memory.tells:
        return ""
    return (
        f"too few rounds, or too much noise, to tell whether memory grows: {_would_have_been_seen(memory)}, and "
        f"nothing smaller; {LEAST_LEAK_MIB:.0f} would have to be, which is a second of audio of each segment"
    )


def _would_have_been_seen(memory: Slope) -> str:
    return f"a leak of {memory.least_seen:.1f} MiB per 1000 segments would have been seen"


def _growth(memory: Slope) -> str:
    return (
        f"{memory.mib_per_1000_segments:.1f} MiB per 1000 segments (95 % interval {memory.low:.1f} to "
        f"{memory.high:.1f}), up to {memory.drift_high_mib:.0f} MiB in {memory.rounds} rounds"
    )
