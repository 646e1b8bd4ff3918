"""Marks that several charts share: the target, the ideal line, the cores, the fitted law, and their legend entries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from harness.report.theme import Look, Theme, subject_look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

TARGET_WORKERS, TARGET_SPEEDUP = 4, 2.0
DASHES = (0, (5, 3))
CURVE_POINTS = 200
# Beyond this number of workers only every power of two gets a label, or the labels would touch.
CROWDED = 5


def subject_handles(names: Sequence[str], theme: Theme) -> list[Line2D]:
    """Return a legend entry per subject."""
    looks = {name: subject_look(name, list(names)) for name in names}
    return [
        Line2D([], [], color=theme.colour(look), linestyle=look.line, marker=look.marker, label=name)
        for name, look in looks.items()
    ]


def draw_target(axes: Axes, height: float, theme: Theme) -> Line2D:
    """Draw the target as a dashed line with a star at four workers; return its legend entry."""
    axes.axhline(height, color=theme.target, linestyle=DASHES, linewidth=1.2, zorder=1)
    axes.plot(TARGET_WORKERS, height, marker="*", markersize=14, color=theme.target, zorder=5)
    label = f"target: {TARGET_SPEEDUP:g}x at {TARGET_WORKERS}"
    return Line2D([], [], color=theme.target, linestyle=DASHES, marker="*", markersize=11, label=label)


def draw_ideal(axes: Axes, most: int, theme: Theme) -> Line2D:
    """Draw what n workers would give if each added as much as the first; return its legend entry."""
    style: dict[str, Any] = {"color": theme.text, "linestyle": (0, (1, 2)), "linewidth": 1.2, "alpha": 0.7}
    axes.plot([1, most], [1, most], zorder=1, **style)
    return Line2D([], [], label="ideal: n workers, n times", **style)


def draw_cores(axes: Axes, cores: int | None, theme: Theme) -> list[Line2D]:
    """Draw a line at the number of cores; return its legend entry, none where the number is not known."""
    if not cores:
        return []
    axes.axvline(cores, color=theme.faint, linewidth=5, alpha=0.3, zorder=0)
    return [Line2D([], [], color=theme.faint, linewidth=5, alpha=0.3, label=f"{cores} cores")]


def draw_law(axes: Axes, law: Mapping[str, Any], look: Look, most: int, theme: Theme) -> None:
    """Draw a fitted universal scalability law, up to the `most` at a time that it was fitted to."""
    counts = np.linspace(1, most, CURVE_POINTS)
    slowdown = 1 + law["contention"] * (counts - 1) + law["coherence"] * counts * (counts - 1)
    axes.plot(counts, law["rate"] * counts / slowdown, color=theme.colour(look), linewidth=0.9, alpha=0.6, zorder=1)


def law_handle(theme: Theme) -> Line2D:
    """Return the legend entry of the fitted laws."""
    return Line2D([], [], color=theme.text, linewidth=0.9, alpha=0.6, label="scaling law, fitted")


def count_axis(axes: Axes, counts: Sequence[int], label: str) -> None:
    """Label the axis of worker or thread counts."""
    axes.set_xlabel(label)
    crowded = len(counts) > CROWDED
    axes.set_xticks(counts, [str(n) if not crowded or n & (n - 1) == 0 else "" for n in counts])
    axes.grid(axis="y")
