"""Observations made of arithmetic: what a benchmark would have seen if everything had gone as planned."""

from __future__ import annotations

from dataclasses import replace

from harness.observations.bench_store import BenchObservations
from harness.run.bench.records import (
    ArrivalCell,
    BenchCall,
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

RATE = 24_000
SUBJECTS = ("sequential", "sequential-bf16", "process-pool", "stateless", "engine-fp32", "engine-bf16")
# Times stock, by number of workers: an engine that scales as the law says.
SPEED = {"sequential-bf16": 2.0, "process-pool": 1.5, "stateless": 1.1, "engine-fp32": 1.0, "engine-bf16": 2.0}


def digest(subject: str, request: int) -> str:
    """Return what a contestant's output of a request is: everybody but the engines says what stock says."""
    return f"{subject if subject.startswith(('engine', 'sequential-')) else 'stock'}/{request}"


def call(subject: str, request: int, seconds: float, start: float = 0.0) -> BenchCall:
    dtype = "bf16" if subject.endswith("bf16") else "fp32"
    return BenchCall(
        request=request,
        scheduled_s=start,
        started_s=start,
        ended_s=start + seconds,
        samples=2 * RATE,
        audio_sha256=digest(subject, request),
        tokens=50,
        tokens_sha256=f"{dtype}/{request}",
        stage_seconds={"voice": 0.1 * seconds, "speech_tokens": 0.6 * seconds, "mel": 0.3 * seconds},
    )


def cell(
    subject: str, workers: int, turn: int, *, calls: int = 4, part: str = "whole", drift: float = 1.0
) -> BenchCell:
    """Return a cell in which stock takes 10 s for an utterance, times `drift`."""
    speed = SPEED.get(subject, 1.0)
    if subject.startswith("engine"):
        speed *= workers / (1 + 0.1 * (workers - 1))
    wall_s = 10.0 * drift * calls / speed
    # As many at a time as there are workers.
    each = wall_s / -(-calls // workers)
    return BenchCell(
        part=part,
        subject=subject,
        workers=workers,
        round=turn,
        calls=tuple(call(subject, place, each, place // workers * each) for place in range(calls)),
        wall_s=wall_s,
        cpu_s=2 * wall_s,
        before_mib=1000.0,
        peak_mib=1000.0 + 60.0 * workers,
    )


def observations() -> BenchObservations:
    """Return a run of two rounds, the second on a machine that has become half as fast."""
    cells = [cell(subject, 1, -1) for subject in SUBJECTS]
    for turn in range(2):
        for subject in SUBJECTS:
            for workers in (1,) if subject.startswith("sequential") else (1, 4, 16):
                cells.append(cell(subject, workers, turn, drift=1.0 + turn))  # noqa: PERF401 - clearer than a nest
    cells.append(BenchCell("whole", "upstream-locked", 4, 1, not_run="no time left"))
    cells += [cell(subject, 4, 0, part="t3") for subject in ("engine-fp32", "engine-bf16")]
    cells += [cell(subject, 1, 0, part="t3") for subject in ("sequential", "sequential-bf16")]
    facts = {
        "environment": {"cpu": "<b>odd & ends</b>", "versions": {"python": "3"}, "memory_kind": "pss"},
        "command": {"profile": "tiny", "rounds": 2},
        "workload": {},
    }
    # Each is taken up a second after it was to arrive.
    asked = (call("engine-fp32", place % 4, 12.0 + place % 7, 2.0 * place) for place in range(70))
    arriving = tuple(replace(one, started_s=one.started_s + 1.0) for one in asked)
    return BenchObservations(
        facts=facts,
        cells=tuple(cells),
        arrivals=(ArrivalCell("engine-fp32", 0.4, 0.7, arriving),),
        contestants=tuple(
            ContestantFacts("whole", name, 0.0 if name == "process-pool" else 3000.0, 100.0, {}) for name in SUBJECTS
        ),
        limits=(
            LimitMeasurement("memory", "GB/s", (30.0, 40.0)),
            LimitMeasurement("float32", "GFLOP/s", (200.0,)),
            LimitMeasurement("bfloat16", "GFLOP/s", (800.0,)),
        ),
        models=(
            ModelFacts(RATE, {"float32": 2_000_000_000, "bfloat16": 1_000_000_000},
                       {"float32": 500_000, "bfloat16": 250_000}, (50,) * 16, 1e9),
        ),
        stages=(StageMeasurement("T3 decode step", "float32", (0.3, 0.2, 0.25), 2e9, 2e9, "one token"),),
        comparisons=tuple(
            TokenComparison("tiny", "float32", place, 50, 50, place != 3, 7 if place == 3 else None)
            for place in range(200)
        ),
        fidelity=(Fidelity("tiny", "float32", 0, 50, 100.0, 60.0, 0.01),),
        kept=(KeptMemory("engine-fp32", 16, 40.0),),
        token_costs=tuple(
            TokenCost("float32", tokens, 1.0 + 0.1 * tokens, tokens * 500_000, 2_000_000_000) for tokens in (8, 16, 32)
        ),
    )  # fmt: skip
