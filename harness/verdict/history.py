"""`history.json`: metrics of many saved results, in the order of their commits, a line per machine, with its steps."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Literal

from harness.errors import SavedFileError, UsageError
from harness.verdict.steps import LEAST_POINTS, find_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSION = "history/1"
FILE = "history.json"
NEEDED = frozenset({"metrics", "results", "run"})
# What was compared within one run says more than what two runs measured apart.
DEFAULT_METRIC = "*/4/speedup"
MOST_METRICS = 40
NAMED = 8
DIRTY = "-dirty"


Better = Literal["higher", "lower"]


@dataclass(frozen=True)
class Value:
    """One metric of one result; `low` and `high` are its interval, if it has one."""

    value: float
    better: Better
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SavedRun:
    """One saved result.

    Attributes:
        place: its file, for people.
        commit: of the code that ran, perhaps with `-dirty` at its end.
        date: when it ran, ISO 8601.
        machine: what must be alike for two results to be on one line.
        metrics: by name.
    """

    place: str
    commit: str
    date: str
    machine: str
    metrics: Mapping[str, Value]


def saved_run(place: str, environment: object, metrics: Mapping[str, Value], device: str = "cpu") -> SavedRun:
    """Return a result with its commit, date and machine, as its environment header tells them.

    Raises:
        SavedFileError: the header does not tell, or a metric is no number.
    """
    if not isinstance(environment, Mapping):
        raise SavedFileError(f"{place}: its environment is {type(environment).__name__}, not a header")
    for name, value in metrics.items():
        if not isinstance(value.value, int | float):
            raise SavedFileError(f"{place}: {name} is {value.value!r}, not a number")
    for key in ("commit", "date", "cpu", "cores"):
        if not environment.get(key):
            raise SavedFileError(f"{place}: its environment does not tell its {key!r}, so it has no place in a history")
    parts = (
        environment["cpu"],
        f"{environment['cores']} cores",
        f"{environment.get('memory_gib', '?')} GiB",
        environment.get("system", ""),
        f"torch {environment.get('versions', {}).get('torch', '?')}",
        f"{environment.get('torch_threads') or '?'} torch threads",
        environment.get("gpu", ""),
        "" if device == "cpu" else f"on {device}",
    )
    machine = ", ".join(str(part) for part in parts if part)
    return SavedRun(place, str(environment["commit"]), str(environment["date"]), machine, metrics)


def judge_history(runs: Sequence[SavedRun], pattern: str, commit_dates: Mapping[str, str]) -> dict[str, Any]:
    """Return the content of `history.json`.

    Args:
        runs: the saved results, in any order.
        pattern: of the metrics' names, as in a shell.
        commit_dates: ISO dates of the commits that are known; the other results go by the date they were run.

    Raises:
        UsageError: no result has such a metric, or too many metrics match.
    """
    known = sorted({name for run in runs for name in run.metrics})
    names = [name for name in known if fnmatchcase(name, pattern)]
    if not names:
        raise UsageError(f"--metric: nothing is called {pattern!r}; there are {_some(known)}")
    if len(names) > MOST_METRICS:
        raise UsageError(f"--metric: {pattern!r} matches {len(names)} metrics, {_some(names)}; at most {MOST_METRICS}")
    ordered = sorted(runs, key=lambda run: (commit_dates.get(_clean(run.commit), run.date), run.date, run.place))
    metrics = [_metric(name, [run for run in ordered if name in run.metrics]) for name in names]
    return {
        "version": VERSION,
        "pattern": pattern,
        "run": _headline(metrics),
        "metrics": metrics,
        "results": [
            {"place": run.place, "commit": run.commit, "date": run.date, "machine": run.machine} for run in ordered
        ],
        "without_commit_date": sorted({run.commit for run in runs if _clean(run.commit) not in commit_dates}),
    }


def _metric(name: str, runs: Sequence[SavedRun]) -> dict[str, Any]:
    machines = list(dict.fromkeys(run.machine for run in runs))
    better = runs[0].metrics[name].better
    lines = [_line(name, machine, [run for run in runs if run.machine == machine], better) for machine in machines]
    return {"name": name, "better": better, "lines": lines}


def _line(name: str, machine: str, runs: Sequence[SavedRun], better: str) -> dict[str, Any]:
    """One machine's results: every one of them, and steps in the medians of the commits."""
    commits = list(dict.fromkeys(run.commit for run in runs))
    points = [
        {
            "commit": run.commit,
            "date": run.date,
            **{k: v for k, v in asdict(run.metrics[name]).items() if k != "better"},
        }
        for run in runs
    ]
    medians = [statistics.median(point["value"] for point in points if point["commit"] == one) for one in commits]
    steps = [
        {
            "commit": commits[step.place],
            **asdict(step),
            "worse": (step.after < step.before) == (better == "higher"),
        }
        for step in find_steps(medians)
    ]
    missing = max(0, LEAST_POINTS - len(commits))
    return {
        "machine": machine, "commits": commits, "medians": medians, "points": points, "steps": steps,
        "commits_missing": missing,
    }  # fmt: skip


def _headline(metrics: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    lines = [line for metric in metrics for line in metric["lines"]]
    steps = [(metric, step) for metric in metrics for line in metric["lines"] for step in line["steps"]]
    judged = [line for line in lines if not line["commits_missing"]]
    scope = f"{len(metrics)} metrics on {len({line['machine'] for line in lines})} machines"
    few = f"{len(lines) - len(judged)} of {len(lines)} lines have fewer than the {LEAST_POINTS} commits a step takes"
    if not judged:
        most = max(len(line["commits"]) for line in lines)
        reason = f"Too few to tell a step from noise: {scope}, at most {most} commits each; {LEAST_POINTS} are needed."
        return {"status": "TOO FEW COMMITS", "reason": reason}
    aside = f" {few}, and were not judged." if len(judged) < len(lines) else ""
    if not steps:
        return {"status": "NO STEP", "reason": f"No step in {scope}.{aside}"}
    worse = [(metric, step) for metric, step in steps if step["worse"]]
    metric, step = (worse or steps)[-1]
    latest = f"{metric['name']} went from {step['before']:.4g} to {step['after']:.4g} at {step['commit'][:10]}"
    reason = f"{len(steps)} steps in {scope}, {len(worse)} for the worse; {latest}.{aside}"
    return {"status": "GOT WORSE" if worse else "GOT BETTER", "reason": reason}


def _clean(commit: str) -> str:
    return commit.removesuffix(DIRTY)


def _some(names: Sequence[str]) -> str:
    """Name a few of many, spread evenly."""
    if len(names) <= NAMED:
        return ", ".join(names) or "none"
    few = [names[place * len(names) // NAMED] for place in range(NAMED)]
    return f"{', '.join(few)} and {len(names) - NAMED} more"
