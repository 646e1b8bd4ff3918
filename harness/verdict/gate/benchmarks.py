"""Saved pytest-benchmark files, base's and head's, as further scalars.

Their rounds are not paired: each file is one process's. So the interval is that of a ratio of two medians, from both
samples drawn again, and there is no second run; a benchmark can be judged worse, but alone it does not fail a gate
unless its files say so beyond the threshold with the whole interval.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import SavedFileError
from harness.verdict.bench.statistics import CONFIDENCE
from harness.verdict.gate.answers import PROMISED, Answer, Conclusion, Floor, percent_worse

if TYPE_CHECKING:
    from pathlib import Path

SUPPORTED_MAJOR = 5
RESAMPLES = 4000
LEAST_SAMPLES = 3


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a saved file: its name and its seconds, one for each round."""

    name: str
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class SavedBenchmarks:
    """A `--benchmark-json` file.

    Attributes:
        path: of the file.
        version: of pytest-benchmark, which wrote it.
        machine: processor and Python it was measured with.
        benchmarks: by name.
    """

    path: Path
    version: str
    machine: tuple[str, ...]
    benchmarks: dict[str, Benchmark]


@dataclass(frozen=True)
class ComparedBenchmarks:
    """Two files, held against each other."""

    base: SavedBenchmarks
    head: SavedBenchmarks
    metrics: tuple[dict[str, Any], ...]
    conclusion: Conclusion

    def as_json(self) -> dict[str, Any]:
        """Return what `gate.json` keeps."""
        ours, theirs = set(self.head.benchmarks), set(self.base.benchmarks)
        return {
            "base": self.base.path.name,
            "head": self.head.path.name,
            "metrics": list(self.metrics),
            "only_base": sorted(theirs - ours),
            "only_head": sorted(ours - theirs),
        }


def read_benchmarks(path: Path) -> SavedBenchmarks:
    """Read a file that `pytest --benchmark-json` wrote.

    Raises:
        SavedFileError: it is missing, damaged, or of another version.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        version = str(found["version"])
        if version.partition(".")[0] != str(SUPPORTED_MAJOR):
            raise SavedFileError(
                f"{path}: version {version!r} of pytest-benchmark's file is not {SUPPORTED_MAJOR}.x, which this "
                f"harness reads"
            )
        machine = found["machine_info"]
        benchmarks = {one["fullname"]: _benchmark(path, one) for one in found["benchmarks"]}
        what = (str(machine["cpu"].get("brand_raw", machine["processor"])), str(machine["python_version"]))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as a pytest-benchmark file: {error!r}") from error
    return SavedBenchmarks(path, version, what, benchmarks)


def compare_benchmarks(base: SavedBenchmarks, head: SavedBenchmarks, floor: Floor) -> ComparedBenchmarks:
    """Judge every benchmark that both files hold.

    Raises:
        SavedFileError: the files are of different versions or machines, or have no benchmark in common.
    """
    if base.version != head.version:
        raise SavedFileError(
            f"{head.path}: version {head.version!r} is not {base.version!r}, which {base.path.name} has"
        )
    if base.machine != head.machine:
        raise SavedFileError(f"{head.path}: measured on {head.machine}, {base.path.name} on {base.machine}")
    common = [name for name in base.benchmarks if name in head.benchmarks]
    if not common:
        raise SavedFileError(f"{head.path}: no benchmark in common with {base.path.name}")
    metrics = tuple(_compare(base.benchmarks[name], head.benchmarks[name], floor) for name in common)
    return ComparedBenchmarks(base, head, metrics, _conclude(metrics))


def _benchmark(path: Path, one: dict[str, Any]) -> Benchmark:
    data = [float(value) for value in one["stats"].get("data") or ()]
    if not data:
        raise SavedFileError(
            f"{path}: {one['fullname']} has no rounds of its own, only what they amount to; expected a file of "
            f"--benchmark-json, or of --benchmark-save with --benchmark-save-data"
        )
    if len(data) < LEAST_SAMPLES or not all(0 < value < math.inf for value in data):
        raise SavedFileError(
            f"{path}: {one['fullname']} has {len(data)} rounds; at least {LEAST_SAMPLES} are needed, all of them "
            f"finite and above 0 s"
        )
    return Benchmark(one["fullname"], tuple(data))


def _compare(base: Benchmark, head: Benchmark, floor: Floor) -> dict[str, Any]:
    name = f"benchmark/{base.name}"
    generator = np.random.default_rng(0)
    ours, theirs = (np.log(np.asarray(one.seconds)) for one in (head, base))
    median = float(np.median(ours) - np.median(theirs))
    drawn = np.median(generator.choice(ours, (RESAMPLES, ours.size)), axis=1) - np.median(
        generator.choice(theirs, (RESAMPLES, theirs.size)), axis=1
    )
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(value) for value in np.quantile(drawn, (tail, 1 - tail)))
    threshold = floor.threshold(name)
    beyond, promised = math.log(threshold), math.log(max(PROMISED, threshold))
    answer = Answer.FAIL if low > beyond else Answer.INCONCLUSIVE if high > promised else Answer.PASS
    span = f"{percent_worse(median)} (95 % interval {percent_worse(low)} to {percent_worse(high)})"
    return {
        "name": name,
        "title": base.name.rpartition("::")[2],
        "kind": "benchmark",
        "subject": None,
        "workers": None,
        "unit": "s",
        "base_value": float(np.median(np.asarray(base.seconds))),
        "head_value": float(np.median(np.asarray(head.seconds))),
        "median": math.exp(median),
        "low": math.exp(low),
        "high": math.exp(high),
        "threshold": threshold,
        "rounds": int(ours.size),
        "answer": answer,
        "reason": "" if answer is Answer.PASS else f"benchmark {base.name}: {span}",
        "worse_log": [],
    }


def _conclude(metrics: tuple[dict[str, Any], ...]) -> Conclusion:
    worse = [one for one in metrics if one["answer"] is Answer.FAIL]
    if worse:
        # Two files are one run each, made at different times: they cannot show that it recurs.
        worst = max(worse, key=lambda one: one["low"])
        return Conclusion(
            Answer.INCONCLUSIVE,
            f"{worst['reason']} worse, but saved files cannot show that it recurs",
            "both files measured again: nox -s bench on each revision",
        )
    wide = next((one for one in metrics if one["answer"] is Answer.INCONCLUSIVE), None)
    if wide is not None:
        return Conclusion(Answer.INCONCLUSIVE, f"the interval is too wide: {wide['reason']}", "more benchmark rounds")
    return Conclusion(Answer.PASS, f"no benchmark of {len(metrics)} is worse")
