"""A metric over commits: one panel per machine, a line through the commits' medians, and the steps."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from harness.report.figure import Chart, draw_chart, is_narrow, legend_above
from harness.report.theme import Look, Theme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINE = Look("#0072b2", "#56b4e9", "o", "-")
BETTER = Look("#009e73", "#2fc99b", "", "-")
WORSE = Look("#d55e00", "#ff8c3a", "", "-")
SHORT_COMMIT = 7
MOST_LABELS = {False: 16, True: 7}
LEAST_SPAN = 0.1


def over_commits(name: str, metric: Mapping[str, Any]) -> Chart:
    """Draw one metric; `name` is the chart's file name."""
    lines = metric["lines"]

    def draw(figure: Figure, theme: Theme) -> None:
        panels = figure.subplots(len(lines), 1, squeeze=False).flat
        for axes, line in zip(panels, lines, strict=True):
            _draw_line(axes, line, theme, narrow=is_narrow(figure))
            axes.set_ylabel(metric["name"].rpartition("/")[2])
        handles = [
            Line2D([], [], color=theme.colour(LINE), marker=LINE.marker, label="median of a commit"),
            Line2D([], [], color=theme.colour(LINE), marker=".", alpha=0.5, linestyle="none", label="one result"),
        ]
        steps = [step for line in lines for step in line["steps"]]
        for look, word, worse in ((WORSE, "step for the worse", True), (BETTER, "step for the better", False)):
            if any(step["worse"] is worse for step in steps):
                handles.append(Line2D([], [], color=theme.colour(look), linewidth=2, label=word))
        legend_above(figure, handles, 4)

    few = [line for line in lines if line["commits_missing"]]
    caption = (
        f"{'Higher' if metric['better'] == 'higher' else 'Lower'} is better. Commits stand in the order of their dates."
    )
    if few:
        caption += " Where there are too few commits, steps were not looked for."
    return draw_chart(name, metric["name"], caption, (0.6 + 2.9 * len(lines), 0.8 + 2.9 * len(lines)), draw)


def _draw_line(axes: Axes, line: Mapping[str, Any], theme: Theme, *, narrow: bool) -> None:
    commits, colour = line["commits"], theme.colour(LINE)
    axes.plot(range(len(commits)), line["medians"], color=colour, marker=LINE.marker, markersize=5, linewidth=1.5)
    for point in line["points"]:
        place = commits.index(point["commit"])
        axes.plot(place, point["value"], ".", color=colour, alpha=0.5, zorder=1)
        if point["low"] is not None and point["high"] is not None:
            axes.vlines(place, point["low"], point["high"], color=colour, linewidth=1.2, alpha=0.5, zorder=1)
    ends = [end for point in line["points"] for end in (point["value"], point["low"], point["high"]) if end is not None]
    # Not from zero, or a step of 5 % could not be seen; but noise of a thousandth must not fill the panel either.
    room = max(max(ends) - min(ends), LEAST_SPAN * max(map(abs, ends)))
    middle = (max(ends) + min(ends)) / 2
    axes.set_ylim(middle - 0.6 * room, middle + 0.75 * room)
    axes.set_xlim(-0.5, len(commits) - 0.5)
    for step in line["steps"]:
        look = theme.colour(WORSE if step["worse"] else BETTER)
        place = commits.index(step["commit"])
        axes.axvline(place - 0.5, color=look, linewidth=2, zorder=0)
        if step["before"]:
            text = f"{100 * (step['after'] / step['before'] - 1):+.0f} %"
            axes.annotate(
                text, (place - 0.5, 1), (3, -2), xycoords=("data", "axes fraction"), textcoords="offset points",
                va="top", color=look, fontweight="bold",
            )  # fmt: skip
    every = -(-len(commits) // MOST_LABELS[narrow])
    shown = range(0, len(commits), every)
    axes.set_xticks(shown, [_short(commits[place]) for place in shown], rotation=45, ha="right", fontsize="small")
    width = 52 if narrow else 120
    axes.set_title("\n".join(textwrap.wrap(line["machine"], width)), fontsize="small", fontweight="normal")
    axes.grid(axis="y")


def _short(commit: str) -> str:
    return commit[:SHORT_COMMIT] + ("+" if commit.endswith("-dirty") else "")
