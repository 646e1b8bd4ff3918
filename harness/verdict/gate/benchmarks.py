"""Saved pytest-benchmark files, base's and head's, as further scalars.

Their rounds are not paired: each file is one process's. So the interval is that of a ratio of two medians, from both
samples drawn again, and there is no second run: a benchmark whose whole interval is beyond the threshold leaves a gate
INCONCLUSIVE, and no file can fail one.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.errors import SavedFileError
from harness.verdict.bench.statistics import CONFIDENCE
from harness.verdict.gate.answers import PROMISED, Answer, Conclusion, Floor, percent_worse

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

SUPPORTED_MAJOR = 5
RESAMPLES = 4000
# As for the gate's own rounds: fewer have no 95 % interval of a median worth the name.
LEAST_ROUNDS = 8


@dataclass(frozen=True)
class Benchmark:
    """One benchmark of a saved file: its name and its seconds, one for each round."""

    name: str
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class MeasuredRevision:
    """What is checked out: a commit, and whether files differ from it."""

    commit: str
    dirty: bool

    @property
    def told(self) -> str:
        """The revision in words."""
        return f"{self.commit[:12]}{' with uncommitted changes' if self.dirty else ''}"


@dataclass(frozen=True)
class SavedBenchmarks:
    """A `--benchmark-json` file.

    Attributes:
        path: of the file.
        version: of pytest-benchmark, which wrote it.
        machine: processor and Python it was measured with.
        benchmarks: by name.
        revision: what was measured; None if the file does not tell.
    """

    path: Path
    version: str
    machine: tuple[str, ...]
    benchmarks: dict[str, Benchmark]
    revision: MeasuredRevision | None = None


@dataclass(frozen=True)
class ComparedBenchmarks:
    """Two files, held against each other; `notes` say where they are not of the gate's two revisions."""

    base: SavedBenchmarks
    head: SavedBenchmarks
    metrics: tuple[dict[str, Any], ...]
    conclusion: Conclusion
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what `gate.json` keeps."""
        ours, theirs = set(self.head.benchmarks), set(self.base.benchmarks)
        return {
            "base": self.base.path.name,
            "head": self.head.path.name,
            "notes": list(self.notes),
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
        revision = _revision(found.get("commit_info") or {})
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise SavedFileError(f"{path}: cannot be read as a pytest-benchmark file: {error!r}") from error
    return SavedBenchmarks(path, version, what, benchmarks, revision)


def compare_benchmarks(
    base: SavedBenchmarks,
    head: SavedBenchmarks,
    floor: Floor,
    revisions: tuple[MeasuredRevision, MeasuredRevision] | None = None,
) -> ComparedBenchmarks:
    """Judge every benchmark that both files hold.

    Args:
        base: one file.
        head: the other.
        floor: how far equal revisions are apart.
        revisions: the gate's base and head, which the files should be of.

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
    conclusion = _of_one_revision(base, head, common) or _conclude(metrics)
    return ComparedBenchmarks(base, head, metrics, conclusion, _notes((base, head), revisions))


def _revision(info: dict[str, Any]) -> MeasuredRevision | None:
    commit = str(info.get("id", ""))
    # Outside a repository pytest-benchmark writes a word there.
    return MeasuredRevision(commit, bool(info.get("dirty"))) if re.fullmatch("[0-9a-f]{40}", commit) else None


def _notes(
    files: tuple[SavedBenchmarks, SavedBenchmarks], revisions: tuple[MeasuredRevision, MeasuredRevision] | None
) -> tuple[str, ...]:
    if revisions is None:
        return ()
    return tuple(
        f"{file.path.name} was measured on {file.revision.told}, which is not {name}, {wanted.told}"
        for name, file, wanted in zip(("base", "head"), files, revisions, strict=True)
        if file.revision is not None and file.revision != wanted
    )


def _of_one_revision(base: SavedBenchmarks, head: SavedBenchmarks, common: list[str]) -> Conclusion | None:
    """Say that nothing was compared, if both files are of one commit without changes, or hold the same rounds."""
    names = f"{base.path.name} and {head.path.name}"
    settle = "files of two revisions: nox -s bench on each"
    if all(base.benchmarks[name] == head.benchmarks[name] for name in common):
        return Conclusion(Answer.INCONCLUSIVE, f"no benchmarks were compared: {names} hold the same rounds", settle)
    if base.revision is not None and base.revision == head.revision and not base.revision.dirty:
        reason = f"no benchmarks were compared: {names} are both of {base.revision.told}"
        return Conclusion(Answer.INCONCLUSIVE, reason, settle)
    return None


def _benchmark(path: Path, one: dict[str, Any]) -> Benchmark:
    data = [float(value) for value in one["stats"].get("data") or ()]
    if not data:
        raise SavedFileError(
            f"{path}: {one['fullname']} has no rounds of its own, only what they amount to; expected a file of "
            f"--benchmark-json, or of --benchmark-save with --benchmark-save-data"
        )
    wrong = next((value for value in data if not 0 < value < math.inf), None)
    if wrong is not None:
        raise SavedFileError(
            f"{path}: {one['fullname']} has a round of {wrong} s; expected them to be finite and above 0 s"
        )
    return Benchmark(one["fullname"], tuple(data))


def _compare(base: Benchmark, head: Benchmark, floor: Floor) -> dict[str, Any]:
    name = f"benchmark/{base.name}"
    generator = np.random.default_rng(0)
    ours, theirs = (np.log(np.asarray(one.seconds)) for one in (head, base))
    median = float(np.median(ours) - np.median(theirs))
    drawn = resampled_medians(ours, generator) - resampled_medians(theirs, generator)
    tail = (1 - CONFIDENCE) / 2
    low, high = (float(value) for value in np.quantile(drawn, (tail, 1 - tail)))
    threshold = floor.threshold(name)
    beyond, promised = math.log(threshold), math.log(max(PROMISED, threshold))
    answer = Answer.FAIL if low > beyond else Answer.INCONCLUSIVE if high > promised else Answer.PASS
    reason = f"{percent_worse(median)} (95 % interval {percent_worse(low)} to {percent_worse(high)})"
    if answer is Answer.INCONCLUSIVE:
        reason += " is too wide an interval"
    rounds = min(ours.size, theirs.size)
    if rounds < LEAST_ROUNDS:
        answer = Answer.INCONCLUSIVE
        reason = f"{rounds} rounds are too few to judge by; at least {LEAST_ROUNDS} are needed"
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
        "threshold_note": "no floor measured" if floor.source and name not in floor.per_metric else "",
        "rounds": int(ours.size),
        "answer": answer,
        "reason": "" if answer is Answer.PASS else f"benchmark {base.name}: {reason}",
        "worse_log": [],
    }


def resampled_medians(values: NDArray[np.float64], generator: np.random.Generator) -> NDArray[np.float64]:
    """Return medians of as many values drawn from `values` with replacement, 4000 times, without drawing the values.

    The k-th smallest of n draws is the value at the k-th smallest of n uniform numbers, which has a Beta distribution:
    fast benchmarks have hundreds of thousands of rounds.
    """
    count = values.size
    ordered = np.sort(values)
    middle = (count + 1) // 2
    lower = generator.beta(middle, count - middle + 1, RESAMPLES)
    upper = lower
    if count % 2 == 0:
        # The next one up is the smallest of those that are left above it.
        upper = lower + (1 - lower) * generator.beta(1, count - middle, RESAMPLES)
    places = (np.minimum((part * count).astype(np.intp), count - 1) for part in (lower, upper))
    medians: NDArray[np.float64] = sum(ordered[place] for place in places) / 2
    return medians


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
        return Conclusion(Answer.INCONCLUSIVE, wide["reason"], "more rounds, such as by --benchmark-min-rounds=100")
    return Conclusion(Answer.PASS, f"no benchmark of {len(metrics)} is worse")
