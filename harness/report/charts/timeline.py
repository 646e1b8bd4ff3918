"""What every thread did, and when: a lock convoy is a staircase of calls that end one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.patches import Patch

from harness.report.figure import Chart, draw_chart, legend_above
from harness.report.theme import OUTCOMES, Theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = dict[str, Any]

# Outcomes as the calls tell them, and as the cells count them.
COUNTED_AS = {
    "identical": "bit_identical",
    "value": "value_corruptions",
    "shape": "shape_corruptions",
    "crash": "crashes",
    "hang": "hangs",
    "not_started": "not_started",
}
THREAD_IN, PANEL_IN, LEGEND_IN = 0.1, 0.42, 0.8
WAITING_ALPHA = 0.35


def timeline(cells: Sequence[Cell]) -> Chart:
    """Draw a panel per cell and in it a row per thread; the cells hold their `calls`."""
    rows = [max(4, cell["workers"]) for cell in cells]
    height = LEGEND_IN + sum(PANEL_IN + THREAD_IN * count for count in rows)
    latest = max(_end(call, cell) for cell in cells for call in cell["calls"])

    def draw(figure: Figure, theme: Theme) -> None:
        panels = figure.subplots(
            len(cells), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": [PANEL_IN / 0.1 + n for n in rows]}
        )
        for (axes,), cell in zip(panels, cells, strict=True):
            _draw_cell(axes, cell, theme)
            axes.set_xlim(0, 1.01 * latest)
        panels[-1][0].set_xlabel("seconds from the start of the cell")
        seen = {COUNTED_AS[call["outcome"]] for cell in cells for call in cell["calls"]}
        handles = [
            Patch(facecolor=theme.colour(look), label=label)
            for key, (label, look, _) in OUTCOMES.items()
            if key in seen
        ]
        pale = Patch(facecolor=theme.text, alpha=WAITING_ALPHA, label="pale: beyond its time alone")
        legend_above(figure, [*handles, pale], 4)

    return draw_chart(
        "timeline",
        "Timeline",
        "A row per thread, the first to be done on top; a bar per call. The full part of a bar is as long as the "
        "same request took alone, the pale part is what it took beyond that: waiting for a lock, or sharing the "
        "cores with others.",
        (height, height + 0.5),
        draw,
    )


def _draw_cell(axes: Axes, cell: Cell, theme: Theme) -> None:
    begun = [call for call in cell["calls"] if call["started_s"] is not None]
    # In the order in which they were done, threads that wait for one lock make a staircase.
    done = {worker: max(_end(call, cell) for call in begun if call["worker"] == worker) for worker in _workers(begun)}
    rows = {worker: row for row, worker in enumerate(sorted(done, key=lambda worker: done[worker]))}
    for call in begun:
        end = _end(call, cell)
        length = end - call["started_s"]
        beyond = max(0.0, length - call["alone_s"]) if call["alone_s"] is not None else 0.0
        colour = theme.colour(OUTCOMES[COUNTED_AS[call["outcome"]]][1])
        row = rows[call["worker"]]
        axes.barh(row, beyond, 0.72, call["started_s"], color=colour, alpha=WAITING_ALPHA, linewidth=0)
        axes.barh(row, length - beyond, 0.72, call["started_s"] + beyond, color=colour, linewidth=0)
        # Without it two calls of one thread, one right after the other, would look like one.
        axes.plot([end, end], [row - 0.42, row + 0.42], color=theme.background, linewidth=1.0)
    workers = cell["workers"]
    axes.set_ylim(max(4, workers) - 0.4, -0.6)
    axes.set_yticks([])
    axes.set_title(f"{cell['subject']}, {workers} thread{'s' if workers > 1 else ''}", fontsize="medium")
    axes.grid(axis="x")
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)


def _workers(calls: Sequence[dict[str, Any]]) -> set[int]:
    return {call["worker"] for call in calls}


def _end(call: dict[str, Any], cell: Cell) -> float:
    """When a call ended; one that never did lasts as long as the cell was watched."""
    return float(call["ended_s"] if call["ended_s"] is not None else max(cell["wall_s"], call["started_s"] or 0.0))
