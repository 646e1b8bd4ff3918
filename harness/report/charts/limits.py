"""Each stage's time beside the least that this machine's limits allow for the same work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.figure import Chart, draw_chart, is_narrow, legend_above
from harness.report.theme import Look, Theme

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

Row = dict[str, Any]

LOOKS = {"memory": Look("#0072b2", "#56b4e9", "", ""), "arithmetic": Look("#d55e00", "#ff8c3a", "", "")}
SHORT = {"float32": "fp32", "bfloat16": "bf16"}


def stages_beside_limits(stages: Sequence[Row]) -> Chart | None:
    """Draw each stage's seconds on a log axis, and the time it would take at the nearer limit; None without limits."""
    rows = [row for row in stages if row["nearer_limit"] in LOOKS and row["seconds"] > 0]
    if not rows:
        return None

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        narrow = is_narrow(figure)
        for place, row in enumerate(rows):
            share = row[f"of_{row['nearer_limit']}_limit"]
            colour = theme.colour(LOOKS[row["nearer_limit"]])
            least = row["seconds"] * share
            axes.plot([least, row["seconds"]], [place, place], color=colour, linewidth=2, zorder=2)
            axes.plot(least, place, marker="|", markersize=13, markeredgewidth=3, color=colour, zorder=3)
            axes.plot(row["seconds"], place, marker="o", markersize=7, color=colour, zorder=3)
            axes.annotate(
                f"{100 * share:.0f} %", (row["seconds"], place), (8, 0), textcoords="offset points", va="center"
            )
        labels = [_label(row, narrow=narrow) for row in rows]
        axes.set_yticks(range(len(rows)), labels, fontsize="small" if narrow else "medium")
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xscale("log")
        axes.margins(x=0.14)
        axes.set_xlabel("seconds")
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        style: dict[str, Any] = {"color": theme.text, "linestyle": "none"}
        dot = Line2D([], [], marker="o", label="measured", **style)
        bar = Line2D([], [], marker="|", markersize=11, markeredgewidth=3, label="at the limit", **style)
        kinds = [Patch(facecolor=theme.colour(look), label=f"nearer limit: {name}") for name, look in LOOKS.items()]
        legend_above(figure, [dot, bar, *kinds], 4)

    return draw_chart(
        "limits",
        "Stages beside their limits",
        "The dot is the measured time of one pass, the upright mark the time the same work takes at the nearer of "
        "this machine's two measured limits, memory bandwidth or arithmetic; the figure is how much of that limit is "
        "reached. The axis is logarithmic.",
        (1.3 + 0.36 * len(rows), 1.7 + 0.42 * len(rows)),
        draw,
    )


def _label(row: Row, *, narrow: bool) -> str:
    workers = row["what"].partition(";")[0] if "workers;" in row["what"] else ""
    parts = [row["subject"], row["stage"], SHORT.get(row["dtype"], row["dtype"]), workers]
    first, rest = f"{parts[0]}", ", ".join(part for part in parts[1:] if part)
    return f"{first}\n{rest}" if narrow else f"{first}: {rest}"
