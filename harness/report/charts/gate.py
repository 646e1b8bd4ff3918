"""A gate's ratios as a forest, its raw rounds, and the two revisions' scaling and memory beside each other."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

from harness.report.charts.marks import CURVE_POINTS, count_axis
from harness.report.figure import Chart, draw_chart, is_narrow, legend_above
from harness.report.theme import Look, Theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

ANSWERS = {
    "PASS": Look("#0072b2", "#56b4e9", "o", "-"),
    "FAIL": Look("#d55e00", "#ff8c3a", "X", "-"),
    "INCONCLUSIVE": Look("#8a6d00", "#f0d264", "D", "-"),
}
OTHER = Look("#5b6168", "#a9b0b8", "s", "-")
REVISIONS = {"base": Look("#5b6168", "#a9b0b8", "s", "--"), "head": Look("#0072b2", "#56b4e9", "o", "-")}
# Okabe and Ito's, the dark ones for light screens and the light ones for dark screens.
SERIES = (
    Look("#0072b2", "#56b4e9", "o", "-"), Look("#d55e00", "#ff8c3a", "X", "-"), Look("#009e73", "#2fc99b", "D", "-."),
    Look("#a8568a", "#dd9cc3", "^", ":"), Look("#8a6d00", "#f0e442", "v", "--"), Look("#5b6168", "#a9b0b8", "s", "--"),
)  # fmt: skip
AA_ROW = "A/A floor: same revision twice"
LEAST_SPAN = 1.12
ROW_IN = 0.3
# Ticks to the right of 1 for axes that go so far; to the left stand their inverses.
TICKS: tuple[tuple[float, tuple[float, ...]], ...] = (
    (1.16, (1.05, 1.1)), (1.35, (1.1, 1.2, 1.3)), (2.2, (1.2, 1.5, 2.0)), (6.0, (1.5, 2.0, 4.0)),
    (math.inf, (2.0, 10.0, 100.0)),
)  # fmt: skip


def forest(runs: Sequence[Row], aa_floor: Mapping[str, Any] | None) -> Chart | None:
    """Draw every metric's ratio with its interval, then the controls, then what the same revision shows; or None."""
    runs = [run for run in runs if run["metrics"] or run["controls"]]
    if not runs:
        return None
    floor = float((aa_floor or {}).get("floor") or 0)
    titles = list(dict.fromkeys(row["title"] for run in runs for row in (*run["metrics"], *run["controls"])))
    controls = {row["title"] for run in runs for row in run["controls"]}
    labels = [*titles, *([AA_ROW] if floor else [])]
    span = _span(runs, floor)

    def draw(figure: Figure, theme: Theme) -> None:
        narrow = is_narrow(figure)
        shape = (len(runs), 1) if narrow else (1, len(runs))
        panels = figure.subplots(*shape, sharex=True, sharey=True, squeeze=False).flat
        for axes, run in zip(panels, runs, strict=True):
            axes.axvline(1, color=theme.text, linewidth=1.0, zorder=1)
            for row in (*run["metrics"], *run["controls"]):
                own_floor = (aa_floor or {}).get("per_metric", {}).get(row["name"])
                _draw_ratio(axes, titles.index(row["title"]), row, own_floor, theme)
            if floor:
                axes.plot([1 / floor, floor], [len(titles)] * 2, color=theme.faint, linewidth=7, alpha=0.6)
            axes.set_xscale("log")
            axes.set_xlim(1 / span, span)
            _ratio_ticks(axes, span)
            axes.set_yticks(range(len(labels)), labels, fontsize="small" if narrow else "medium")
            axes.set_ylim(len(labels) - 0.4, -0.6)
            if controls:
                axes.axhline(len(titles) - len(controls) - 0.5, color=theme.faint, linewidth=0.8)
            axes.set_xlabel("times as bad as base")
            axes.grid(axis="x")
            axes.set_axisbelow(True)
            if len(runs) > 1:
                axes.set_title(f"run {run['number']}: {run['answer']}")
        legend_above(figure, _forest_handles(runs, floor, theme), 3)

    rows = len(labels)
    return draw_chart(
        "forest",
        "Ratios",
        "Right of 1 the head is worse. Marks are medians over rounds, bars bootstrap 95 % intervals, small dots the "
        "rounds themselves, upright ticks the threshold that the whole interval must lie beyond to fail. Pale bands: "
        "how far a revision strayed from itself when it was calibrated. Controls are the same code in both.",
        (1.3 + ROW_IN * rows, 1.4 + (0.9 + ROW_IN * rows) * len(runs)),
        draw,
    )


def rounds(run: Row) -> Chart | None:
    """Draw a run's ratios round by round, a panel per kind of metric; None if no round was kept."""
    rows = [row for row in (*run["metrics"], *run["controls"]) if row["worse_log"]]
    kinds = list(dict.fromkeys(row["kind"] for row in rows))
    if not rows:
        return None

    def draw(figure: Figure, theme: Theme) -> None:
        panels = figure.subplots(len(kinds), 1, squeeze=False, sharex=True).flat
        for axes, kind in zip(panels, kinds, strict=True):
            own = [row for row in rows if row["kind"] == kind]
            axes.axhline(1, color=theme.text, linewidth=0.8)
            for place, row in enumerate(own):
                look = SERIES[place % len(SERIES)]
                ratios = [math.exp(value) for value in row["worse_log"]]
                axes.plot(
                    range(1, len(ratios) + 1), ratios, color=theme.colour(look), linestyle=look.line,
                    marker=look.marker, markersize=4.5, linewidth=1.1, label=row["title"],
                )  # fmt: skip
            axes.set_ylabel("times as bad")
            axes.grid(axis="y")
            if is_narrow(figure):
                axes.legend(fontsize="small", loc="lower left", bbox_to_anchor=(-0.12, 1.0))
            else:
                axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.0, 0.5))
        axes.set_xlabel("round")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))

    most = max(sum(row["kind"] == kind for row in rows) for kind in kinds)
    return draw_chart(
        f"rounds-{run['number']}",
        f"Raw rounds of run {run['number']}",
        "Each round's ratio of head to base, by itself. What moves together with a control is the machine.",
        (0.5 + max(1.7, 0.3 + 0.22 * most) * len(kinds), 0.4 + (2.2 + 0.19 * most) * len(kinds)),
        draw,
    )


def revisions(name: str, title: str, entries: Sequence[Row], unit: str) -> Chart | None:
    """Draw the points of base and head against workers, each with its fitted curve, a panel per subject; or None."""
    subjects = list(dict.fromkeys(entry["subject"] for entry in entries if entry["points"]))
    if not subjects:
        return None

    def draw(figure: Figure, theme: Theme) -> None:
        shape = (len(subjects), 1) if is_narrow(figure) else (1, len(subjects))
        panels = figure.subplots(*shape, squeeze=False).flat
        for axes, subject in zip(panels, subjects, strict=True):
            for entry in entries:
                if entry["subject"] == subject and entry["points"]:
                    _draw_revision(axes, entry, theme)
            axes.set_title(subject)
            axes.set_ylabel(unit)
            axes.set_ylim(0, 1.1 * axes.get_ylim()[1])
        handles = [
            Line2D([], [], color=theme.colour(look), linestyle=look.line, marker=look.marker, label=revision)
            for revision, look in REVISIONS.items()
        ]
        legend_above(figure, handles, 2)

    caption = "Points are medians over rounds; the curve of each revision is the one that was fitted to them."
    return draw_chart(name, title, caption, (3.4, 0.8 + 2.8 * len(subjects)), draw)


def _draw_ratio(axes: Axes, place: int, row: Row, floor: float | None, theme: Theme) -> None:
    look = ANSWERS.get(row["answer"], OTHER)
    colour = theme.colour(look)
    if floor:
        axes.plot([1 / floor, floor], [place, place], color=theme.faint, linewidth=9, alpha=0.3, zorder=1)
    # Each round a little above or below the next, so that dots do not hide each other.
    for turn, value in enumerate(row["worse_log"]):
        axes.plot(math.exp(value), place + 0.12 * (turn % 3 - 1), ".", color=colour, markersize=3, alpha=0.45, zorder=2)
    if row["low"] is not None and row["high"] is not None:
        axes.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.2, zorder=3)
    if row["median"] is not None:
        axes.plot(row["median"], place, marker=look.marker, color=colour, markersize=7, zorder=4)
    if row["threshold"]:
        axes.plot([row["threshold"]] * 2, [place - 0.36, place + 0.36], color=theme.target, linewidth=1.6, zorder=2)


def _draw_revision(axes: Axes, entry: Row, theme: Theme) -> None:
    look = REVISIONS.get(entry["revision"], OTHER)
    colour = theme.colour(look)
    workers, values = zip(*entry["points"], strict=True)
    axes.plot(workers, values, linestyle="none", marker=look.marker, color=colour)
    counts = np.linspace(min(workers), max(workers), CURVE_POINTS)
    if "contention" in entry:
        slowdown = 1 + entry["contention"] * (counts - 1) + entry["coherence"] * counts * (counts - 1)
        curve = entry["rate"] * counts / slowdown
    else:
        curve = np.mean(values) + entry["slope"] * (counts - np.mean(workers))
    axes.plot(counts, curve, color=colour, linestyle=look.line, linewidth=1.3)
    count_axis(axes, workers, "workers")


def _span(runs: Sequence[Row], floor: float) -> float:
    """How far the axis goes to either side of 1: as far as anything that has to be seen."""
    factors = [LEAST_SPAN, floor]
    for run in runs:
        for row in (*run["metrics"], *run["controls"]):
            factors += [value for value in (row["low"], row["high"], row["median"], row["threshold"]) if value]
            factors += [math.exp(value) for value in row["worse_log"]]
    return 1.03 * max(max(factor, 1 / factor) for factor in factors if factor)


def _ratio_ticks(axes: Axes, span: float) -> None:
    above = next(steps for most, steps in TICKS if span <= most)
    axes.xaxis.set_major_locator(FixedLocator(sorted({1.0, *above, *(1 / factor for factor in above)})))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.2f}".rstrip("0").rstrip(".")))
    axes.xaxis.set_minor_locator(FixedLocator([]))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _forest_handles(runs: Sequence[Row], floor: float, theme: Theme) -> list[Line2D | Patch]:
    seen = {row["answer"] for run in runs for row in (*run["metrics"], *run["controls"])}
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=theme.colour(look), marker=look.marker, linewidth=2.2, label=answer)
        for answer, look in ANSWERS.items()
        if answer in seen
    ]
    tick: dict[str, Any] = {"color": theme.target, "marker": "|", "markersize": 10, "markeredgewidth": 1.6}
    handles.append(Line2D([], [], linestyle="none", label="threshold", **tick))
    if floor:
        handles.append(Patch(facecolor=theme.faint, alpha=0.45, label=f"A/A floor, at most {floor:.2f}"))
    return handles
