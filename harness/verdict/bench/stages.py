"""Each stage beside what this machine could do at best, and where an utterance's time goes."""

from __future__ import annotations

import math
import statistics
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from harness.run.bench.records import ENGINE_FLOW
from harness.verdict.bench.rates import ran, rates_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import BenchCall, BenchCell, LimitMeasurement, ModelFacts, StageMeasurement

GIGA = 1e9
ROWS = 2
WHOLE, T3_ALONE = "whole", "t3"
HALF_SUFFIX = "bf16"


def limits_table(limits: Sequence[LimitMeasurement]) -> dict[str, dict[str, Any]]:
    """Return each limit by name: the best of all its measurements, because a limit is what can be reached."""
    table: dict[str, dict[str, Any]] = {}
    for limit in limits:
        rates = [*table.get(limit.name, {"rates": []})["rates"], *limit.rates]
        table[limit.name] = {"best": max(rates), "unit": limit.unit, "rates": rates}
    return table


def stages_table(
    stages: Sequence[StageMeasurement],
    cells: Sequence[BenchCell],
    limits: Sequence[LimitMeasurement],
    model: ModelFacts | None,
) -> list[dict[str, Any]]:
    """Return stock's stages and the engine's flow as measured alone, and the batched T3 as timed in its own cells."""
    best = _reachable(limits)
    rows = []
    for stage in stages:
        subject = "engine" if stage.stage == ENGINE_FLOW else "stock"
        seconds = statistics.median(stage.seconds)
        row = _row(subject, stage.stage, stage.dtype, seconds, stage.flops, stage.read_bytes, best)
        rows.append(row | {"what": stage.what})
    keys = dict.fromkeys((cell.subject, cell.workers) for cell in cells if cell.part == T3_ALONE)
    for subject, workers in keys:
        measured = ran(cells, T3_ALONE, subject, workers)
        if measured and model and subject.startswith("engine"):
            rows.append(_batched_t3(subject, workers, measured, best, model))
    return rows


def _reachable(limits: Sequence[LimitMeasurement]) -> dict[str, float]:
    """Return the best rates by name; bfloat16's is at least float32's, which holds every bfloat16 number exactly."""
    best: dict[str, float] = {name: limit["best"] for name, limit in limits_table(limits).items()}
    if {"bfloat16", "float32"} <= best.keys():
        best["bfloat16"] = max(best["bfloat16"], best["float32"])
    return best


def where_time_goes(cells: Sequence[BenchCell], sample_rate: int) -> list[dict[str, Any]]:
    """Return, per contestant that tells its stages, seconds per second of audio with one request at a time."""
    entries = []
    for subject in dict.fromkeys(cell.subject for cell in cells if cell.part == WHOLE and cell.workers == 1):
        calls = [call for cell in ran(cells, WHOLE, subject, 1) for call in cell.calls if call.stage_seconds]
        audio_s = sum(call.samples for call in calls) / sample_rate
        if not audio_s:
            continue
        names = dict.fromkeys(name for call in calls for name in call.stage_seconds if name != "waiting")
        shares = {name: sum(call.stage_seconds.get(name, 0.0) for call in calls) / audio_s for name in names}
        entries.append({"subject": subject, "seconds_per_audio_s": shares})
    return entries


def least_steps(calls: Sequence[BenchCall]) -> int:
    """Return how many decode steps `calls` took at least: the most tokens of calls that followed each other.

    Calls that overlap may have shared every step; those of one caller never did.
    """
    until: list[tuple[float, int]] = [(-math.inf, 0)]  # most steps that had to be over by then
    for call in sorted(calls, key=lambda call: call.ended_s):
        before = bisect_right(until, call.started_s, key=lambda known: known[0]) - 1
        until.append((call.ended_s, max(until[-1][1], until[before][1] + (call.tokens or 0))))
    return until[-1][1]


def _batched_t3(
    subject: str, workers: int, cells: Sequence[BenchCell], best: dict[str, float], model: ModelFacts
) -> dict[str, Any]:
    """A step as the cell shows it: its wall time over the steps that the cell needed at least.

    Prompts and the small companion are in that time, so what is achieved is told too low rather than too high.
    """
    dtype = "bfloat16" if subject.endswith(HALF_SUFFIX) else "float32"
    steps, tokens, cache = [], [], []
    for cell in cells:
        steps.append(cell.wall_s / max(1, least_steps(cell.calls)))
        tokens.append((rates_of(cell, model.sample_rate).tokens_per_s or 0.0) * steps[-1])
        lengths = [model.prompt_tokens[call.request] + (call.tokens or 0) / 2 for call in cell.calls]
        cache.append(model.cache_bytes_per_token[dtype] * sum(lengths) / len(lengths) * tokens[-1])
    seconds, per_step = statistics.median(steps), statistics.median(tokens)
    flops = model.t3_step_flops_per_row * ROWS * per_step
    read = model.t3_step_weight_bytes[dtype] + statistics.median(cache)
    what = f"{workers} workers; {per_step:.1f} requests share a step; {seconds / max(per_step, 1e-9):.4f} s a token"
    return _row(subject, "T3 decode step", dtype, seconds, flops, read, best) | {"what": what}


def _row(
    subject: str, stage: str, dtype: str, seconds: float, flops: float, read_bytes: float, best: dict[str, float]
) -> dict[str, Any]:
    bandwidth, arithmetic = read_bytes / GIGA / seconds, flops / GIGA / seconds
    of_memory = bandwidth / best["memory"] if best.get("memory") else None
    of_arithmetic = arithmetic / best[dtype] if best.get(dtype) else None
    known = [share for share in (of_memory, of_arithmetic) if share]
    bound = None
    if known and of_memory is not None and of_arithmetic is not None:
        bound = "memory" if of_memory >= of_arithmetic else "arithmetic"
    return {
        "subject": subject,
        "stage": stage,
        "dtype": dtype,
        "seconds": seconds,
        "gb_per_s": bandwidth,
        "gflop_per_s": arithmetic,
        "of_memory_limit": of_memory,
        "of_arithmetic_limit": of_arithmetic,
        "nearer_limit": bound,
    }
