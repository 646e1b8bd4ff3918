"""A history: metrics over commits, a panel per machine, with the steps that were found in them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.charts.history import over_commits
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table, Tone, numbers
from harness.verdict.history import FILE, NEEDED, VERSION
from harness.verdict.saved import load_result
from harness.verdict.steps import LEAST_POINTS, SHUFFLES, SIGNIFICANCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TONES: dict[str, Tone] = {"GOT WORSE": "bad", "GOT BETTER": "good", "NO STEP": "good", "TOO FEW COMMITS": "unsure"}
SHORT_COMMIT = 10


def load(folder: Path) -> dict[str, Any]:
    """Read `history.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out a history."""
    how = (
        "Results of different machines are never on one line. Each commit counts once, with the median of its "
        f"results. A step is a split that fewer than {100 * SIGNIFICANCE:g} % of {SHUFFLES} shuffled series match "
        f"(E-divisive, Matteson and James 2014); that takes at least {LEAST_POINTS} commits."
    )
    undated = result["without_commit_date"]
    if undated:
        how += f" Of {len(undated)} commits the date is not known here; their results stand where they were run."
    sections = [
        Section("Steps", (how,), _steps(result["metrics"])),
        *(
            Section(metric["name"], charts=(over_commits(f"history-{place}", metric),))
            for place, metric in enumerate(result["metrics"], 1)
        ),
        Section("Results", table=_results(result["results"]), folded=True),
    ]
    run = result["run"]
    return Part("History", run["status"], TONES[run["status"]], run["reason"], tuple(sections), f"{FILE} ({VERSION}).")


KIND = Kind("history", 60, (FILE,), load, part)


def _steps(metrics: Sequence[Mapping[str, Any]]) -> Table:
    rows = []
    for metric in metrics:
        for line in metric["lines"]:
            if line["commits_missing"]:
                few = Field(f"{len(line['commits'])} commits: too few", "unsure")
                rows.append((Field(metric["name"]), Field(line["machine"]), few, *numbers(("-",) * 4)))
            elif not line["steps"]:
                rows.append((Field(metric["name"]), Field(line["machine"]), Field("no step"), *numbers(("-",) * 4)))
            for step in line["steps"]:
                word = Field("worse", "bad") if step["worse"] else Field("better", "good")
                change = f"{100 * (step['after'] / step['before'] - 1):+.1f} %" if step["before"] else "-"
                figures = (f"{step['before']:.4g} to {step['after']:.4g}", change, f"{step['p_value']:.4f}")
                commit = Field(step["commit"][:SHORT_COMMIT])
                rows.append((Field(metric["name"]), Field(line["machine"]), word, commit, *numbers(figures)))
    return Table(("Metric", "Machine", "", "At commit", "From, to", "Change", "p"), tuple(rows))


def _results(results: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple(tuple(Field(result[key]) for key in ("commit", "date", "machine", "place")) for result in results)
    return Table(("Commit", "Run on", "Machine", "File"), rows)
