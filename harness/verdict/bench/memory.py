"""Peak memory against workers, its slope, and what the key/value caches alone would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness.verdict.bench.rates import ran

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.bench.records import BenchCell, ContestantFacts, KeptMemory, ModelFacts

MIB = 1024 * 1024
WHOLE = "whole"
# Measured of the host's memory alone.
HOST_ONLY = ("base_mib", "own_mib", "kept_mib")


def memory_table(
    cells: Sequence[BenchCell],
    contestants: Sequence[ContestantFacts],
    model: ModelFacts | None,
    kept: Sequence[KeptMemory] = (),
    device: str = "cpu",
) -> list[dict[str, Any]]:
    """Return one entry per contestant.

    All contestants live in one process, so a peak is put together: what the process needed with model and libraries
    (`base`), what this contestant alone added when it was built (`own`) and when it heard the voices and prompts of
    its cells (`kept`), and what the cell added at its peak. The process pool is measured as it is: its own processes
    and nothing else.

    On a CUDA device a peak is that of the GPU's memory, all contestants' weights in it, and nothing is put together.
    """
    on_gpu = device.startswith("cuda")
    kept_mib = {one.name: one.kept_mib for one in kept}
    entries = []
    for contestant in contestants:
        if contestant.part != WHOLE:
            continue
        peaks: dict[int, float] = {}
        constant = contestant.base_mib + contestant.own_mib + kept_mib.get(contestant.name, 0.0)
        for cell in ran(cells, WHOLE, contestant.name):
            peak = cell.gpu_peak_mib if on_gpu else constant + cell.peak_mib - cell.before_mib
            if peak is not None:
                peaks[cell.workers] = max(peak, peaks.get(cell.workers, 0.0))
        if peaks:
            entry = _entry(contestant, peaks, cells, model) | {"kept_mib": kept_mib.get(contestant.name)}
            entries.append(entry | dict.fromkeys(HOST_ONLY) if on_gpu else entry)
    return entries


def slope_per_worker(peaks: dict[int, float]) -> float | None:
    """Return the slope of peak memory over workers by least squares, MiB per worker; None from one point."""
    if len(peaks) < 2:  # noqa: PLR2004 - a slope needs two points
        return None
    workers = sorted(peaks)
    return float(np.polyfit(workers, [peaks[count] for count in workers], 1)[0])


def cache_mib_per_request(cells: Sequence[BenchCell], subject: str, model: ModelFacts) -> float | None:
    """Return what the cache of an average request comes to at its end, MiB, by the formula: bytes per token."""
    dtype = "bfloat16" if subject.endswith("bf16") else "float32"
    calls = {call.request: call for cell in ran(cells, WHOLE, subject) for call in cell.calls if call.tokens}
    if not calls:
        return None
    tokens = [model.prompt_tokens[place] + (call.tokens or 0) for place, call in calls.items()]
    return model.cache_bytes_per_token[dtype] * sum(tokens) / len(tokens) / MIB


def _entry(
    contestant: ContestantFacts, peaks: dict[int, float], cells: Sequence[BenchCell], model: ModelFacts | None
) -> dict[str, Any]:
    slope = slope_per_worker(peaks)
    cache = cache_mib_per_request(cells, contestant.name, model) if model else None
    return {
        "subject": contestant.name,
        "base_mib": contestant.base_mib,
        "own_mib": contestant.own_mib,
        "peak_mib": {str(count): peaks[count] for count in sorted(peaks)},
        "slope_mib_per_worker": slope,
        "cache_mib_per_request": cache,
        "slope_over_cache": slope / cache if slope is not None and cache else None,
        "details": contestant.details,
    }
