"""The raw rounds: one mark per cell and round, so that drift and outliers are seen and not averaged away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.charts.marks import subject_handles
from harness.report.figure import Chart, draw_chart, is_narrow, legend_above
from harness.report.theme import Theme, subject_look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

Cell = dict[str, Any]

WHOLE = "whole"
SPREAD = 0.6


def rounds(cells: Sequence[Cell]) -> Chart | None:
    """Draw utterances/s of every timed cell by round; None if no cell was timed in a round."""
    timed = [
        cell
        for cell in cells
        if cell["part"] == WHOLE and cell["round"] >= 0 and not cell["not_run"] and cell["wall_s"] > 0
    ]
    if not timed:
        return None
    names = list(dict.fromkeys(cell["subject"] for cell in timed))
    turns = sorted({cell["round"] for cell in timed})
    counts = sorted({cell["workers"] for cell in timed})

    def draw(figure: Figure, theme: Theme) -> None:
        narrow = is_narrow(figure)
        shape = (len(counts), 1) if narrow else (1, len(counts))
        panels = figure.subplots(*shape, sharey=True, squeeze=False).flat
        for axes, workers in zip(panels, counts, strict=True):
            for cell in timed:
                if cell["workers"] != workers:
                    continue
                look = subject_look(cell["subject"], names)
                shift = SPREAD * ((names.index(cell["subject"]) + 0.5) / len(names) - 0.5)
                axes.plot(
                    turns.index(cell["round"]) + shift, _rate(cell), marker=look.marker, linestyle="none",
                    color=theme.colour(look), markersize=6.5, alpha=0.9,
                )  # fmt: skip
            axes.set_title(f"{workers} worker{'s' if workers > 1 else ''}")
            axes.set_xticks(range(len(turns)), [str(turn + 1) for turn in turns])
            axes.set_xlim(-0.6, len(turns) - 0.4)
            axes.set_xlabel("round")
            axes.grid(axis="y")
            if narrow or workers == counts[0]:
                axes.set_ylabel("utterances per second")
        axes.set_ylim(0, 1.08 * max(_rate(cell) for cell in timed))
        handles = subject_handles(names, theme)
        for handle in handles:
            handle.set_linestyle("none")
        legend_above(figure, handles, 4)

    return draw_chart(
        "rounds",
        "Raw rounds",
        "Each mark is one cell of one round, as it was timed. All rounds of stock sequential show the machine's own "
        "unrest: nothing smaller than that can be told from it without comparing within a round.",
        (3.6, 1.2 + 2.3 * len(counts)),
        draw,
    )


def _rate(cell: Cell) -> float:
    done = sum(call["error"] is None for call in cell["calls"])
    return float(done / cell["wall_s"])
