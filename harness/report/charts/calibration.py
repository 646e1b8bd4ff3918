"""How often a gate says FAIL, by how much was injected, with the goals it is held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D

from harness.report.charts.marks import DASHES
from harness.report.figure import Chart, draw_chart, legend_above
from harness.report.theme import Look, Theme

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

LOOKS = {
    "gates": ("whole gates, 95 % interval", Look("#0072b2", "#56b4e9", "o", "-")),
    "first_runs": ("first runs alone, 95 % interval", Look("#d55e00", "#ff8c3a", "X", "-")),
    "all_pairs": ("all pairs of runs", Look("#5b6168", "#a9b0b8", "s", ":")),
}
SHIFT = 0.16


def shares(conditions: Sequence[Mapping[str, Any]], goal: Mapping[str, float]) -> Chart:
    """Draw the share of FAIL of every condition, as each way of counting tells it."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        handles = []
        for number, (key, (label, look)) in enumerate(LOOKS.items()):
            colour = theme.colour(look)
            known = [(place, one[key]) for place, one in enumerate(conditions) if one.get(key) and one[key]["gates"]]
            for place, counts in known:
                x = place + SHIFT * (number - 1)
                if counts.get("fail_low") is not None:
                    axes.vlines(x, 100 * counts["fail_low"], 100 * counts["fail_high"], color=colour, linewidth=2)
                axes.plot(x, 100 * counts["fail_share"], marker=look.marker, color=colour, markersize=7)
            if known:
                handles.append(Line2D([], [], color=colour, marker=look.marker, linestyle="none", label=label))
        # Each where no interval stands in its way: A/A is far below the one, all others are far above the other.
        for level, word, start, side in (
            (goal["power_20"], "goal at +20 %: at least", -0.45, "left"),
            (goal["false_fail"], "goal at A/A: at most", len(conditions) - 1.5, "center"),
        ):
            axes.axhline(100 * level, color=theme.target, linestyle=DASHES, linewidth=1.1, zorder=0)
            axes.annotate(
                f"{word} {100 * level:g} %", (start, 100 * level), (0, 3),
                textcoords="offset points", ha=side, color=theme.target, fontsize="small",
            )  # fmt: skip
        axes.set_xticks(range(len(conditions)), [one["name"] for one in conditions])
        axes.set_xlim(-0.5, len(conditions) - 0.5)
        axes.set_ylim(-4, 108)
        axes.set_ylabel("gates that say FAIL, %")
        axes.set_xlabel("injected slow-down")
        axes.grid(axis="y")
        axes.set_axisbelow(True)
        legend_above(figure, handles, 3)

    return draw_chart(
        "calibration",
        "Calibration",
        "At A/A every FAIL is a false alarm; elsewhere every FAIL is a slow-down caught.",
        (3.6, 4.4),
        draw,
    )
