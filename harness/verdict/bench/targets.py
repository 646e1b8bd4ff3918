"""The table of targets: what was aimed at, what was measured, met or not."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.verdict.bench.rates import BASELINE, speedup

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.run.bench.records import BenchCell
    from harness.verdict.bench.statistics import Estimate

BASELINE_BF16 = "sequential-bf16"
FP32, BF16 = "engine-fp32", "engine-bf16"
# A cache may need this much more than its formula says.
CACHE_TOLERANCE = 1.25
# Growth per worker is that of one worker to this many.
MEMORY_WORKERS = ("1", "16")
# One worker must not be slower; the median may miss by what rounds of one contestant differ among themselves.
NOT_SLOWER = 1.0


@dataclass(frozen=True)
class Target:
    """One row: a ratio that is to be at least `at_least` (or at most, if `most`).

    `met` is None where it was not measured. `low` and `high` are an interval or a range, by the number of `rounds`
    (see `Estimate`).
    """

    what: str
    against: str
    at_least: float
    aim: float | None
    measured: float | None
    low: float | None
    high: float | None
    met: bool | None
    note: str = ""
    rounds: int = 0
    most: bool = False


@dataclass(frozen=True)
class _Ratio:
    what: str
    part: str
    subject: str
    workers: int
    against: str
    at_least: float
    aim: float | None = None


_RATIOS = (
    _Ratio("end to end, 4 workers, fp32", "whole", FP32, 4, BASELINE, 2.0, 3.0),
    _Ratio("end to end, 4 workers, bf16", "whole", BF16, 4, BASELINE, 4.0, 6.0),
    _Ratio("end to end, 16 workers, bf16", "whole", BF16, 16, BASELINE, 5.0, 8.0),
    _Ratio("T3 alone, 4 workers, fp32", "t3", FP32, 4, BASELINE, 2.5),
    _Ratio("T3 alone, 16 workers, fp32", "t3", FP32, 16, BASELINE, 7.0),
    _Ratio("T3 alone, 4 workers, bf16", "t3", BF16, 4, BASELINE_BF16, 3.0),
    _Ratio("T3 alone, 16 workers, bf16", "t3", BF16, 16, BASELINE_BF16, 5.0),
    _Ratio("S3Gen alone, 4 workers, fp32", "s3gen", FP32, 4, BASELINE, 1.8, 3.0),
    _Ratio("S3Gen alone, 4 workers, bf16", "s3gen", BF16, 4, BASELINE, 2.5, 5.0),
    _Ratio("one worker, fp32", "whole", FP32, 1, BASELINE, NOT_SLOWER),
    _Ratio("one worker, bf16", "whole", BF16, 1, BASELINE_BF16, NOT_SLOWER),
)
_NAMES = {BASELINE: "stock sequential fp32", BASELINE_BF16: "stock sequential bf16"}


def targets_table(
    cells: Sequence[BenchCell], memory: Sequence[Mapping[str, Any]], token_costs: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Return every target with what was measured."""
    rows = [_throughput(ratio, speedup(cells, ratio.part, ratio.subject, ratio.workers, against=ratio.against))
            for ratio in _RATIOS]  # fmt: skip
    rows += [_memory(subject, memory) for subject in (FP32, BF16)]
    rows += [_token_cost(dtype, token_costs) for dtype in ("float32", "bfloat16")]
    return [asdict(row) for row in rows]


def _throughput(ratio: _Ratio, measured: Estimate | None) -> Target:
    common = (ratio.what, _NAMES[ratio.against], ratio.at_least, ratio.aim)
    if measured is None:
        return Target(*common, None, None, None, None, "not measured in this run")
    met = measured.median >= ratio.at_least
    aimed = "" if ratio.aim is None or not met else " aim met" if measured.median >= ratio.aim else " aim not met"
    note = f"{measured.rounds} round{'s' if measured.rounds > 1 else ''};{aimed}".rstrip(";")
    return Target(*common, measured.median, measured.low, measured.high, met, note, measured.rounds)


def _memory(subject: str, memory: Sequence[Mapping[str, Any]]) -> Target:
    what = f"memory growth per worker, {subject.removeprefix('engine-')}"
    entry = next((one for one in memory if one["subject"] == subject), None)
    pool = next((one for one in memory if one["subject"] == "process-pool"), None)
    beside = f"; the pool holds {_peak(pool) / 2:.0f} MiB for each of its 2 processes" if pool else ""
    if entry is None or entry["slope_over_cache"] is None:
        return Target(what, "cache formula", CACHE_TOLERANCE, None, None, None, None, None, "not measured", most=True)
    ratio = entry["slope_over_cache"]
    slope = f"{entry['slope_mib_per_worker']:.1f} MiB against {entry['cache_mib_per_request']:.1f}"
    note = f"{slope}, of {', '.join(entry['peak_mib'])} workers{beside}"
    met = ratio <= CACHE_TOLERANCE
    if missing := [workers for workers in MEMORY_WORKERS if workers not in entry["peak_mib"]]:
        met, note = None, f"not measured with {' and '.join(missing)} workers; {note}"
    return Target(what, "cache formula", CACHE_TOLERANCE, None, ratio, None, None, met, note, most=True)


def _peak(entry: Mapping[str, Any]) -> float:
    return max(float(value) for value in entry["peak_mib"].values())


def _token_cost(dtype: str, costs: Sequence[Mapping[str, Any]]) -> Target:
    what, against = f"cost of the n-th token, {dtype}", "growth that attention requires"
    entry = next((one for one in costs if one["dtype"] == dtype), None)
    if entry is None or entry["growth"] is None:
        why = "not measured in this run" if entry is None else "too noisy to tell: a later token seemed to cost less"
        return Target(what, against, 1.0, None, None, None, None, None, why, most=True)
    most = entry["required_growth"] * entry["tolerance"]
    note = f"required {entry['required_growth']:.2f}, tolerance {entry['tolerance']:g}; {entry['repeats']} repeats"
    spread = entry["growth_low"], entry["growth_high"]
    return Target(what, against, most, None, entry["growth"], *spread, entry["met"], note, entry["repeats"], most=True)
