"""The three charts of a stress run: integrity, throughput, memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.charts.marks import (
    DASHES,
    TARGET_SPEEDUP,
    TARGET_WORKERS,
    count_axis,
    draw_cores,
    draw_ideal,
    draw_law,
    draw_target,
    law_handle,
    subject_handles,
)
from harness.report.figure import Chart, draw_chart, is_narrow, legend_above, two_panels
from harness.report.theme import OUTCOMES, Theme, subject_look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = dict[str, Any]

TARGET_THREADS = TARGET_WORKERS
BASELINE = "sequential"


def integrity(cells: Sequence[Cell]) -> Chart:
    """Who returned what: a bar of outcomes per subject and thread count."""
    names, counts = _names(cells), _counts(cells)

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        for cell in cells:
            row, column = names.index(cell["subject"]), counts.index(cell["threads"])
            _draw_outcomes(axes, cell, column, row, theme, narrow=is_narrow(figure))
        if is_narrow(figure):
            axes.tick_params(axis="y", labelsize="small", pad=1)
        axes.set_xticks(range(len(counts)), [str(count) for count in counts])
        axes.set_yticks(range(len(names)), names)
        axes.set_xlim(-0.55, len(counts) - 0.45)
        axes.set_ylim(len(names) - 0.45, -0.55)
        axes.set_xlabel("threads")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
        seen = [key for key in OUTCOMES if key == "bit_identical" or any(cell[key] for cell in cells)]
        patches = [
            Patch(
                facecolor=theme.colour(OUTCOMES[key][1]),
                edgecolor=theme.background,
                hatch=OUTCOMES[key][2],
                label=OUTCOMES[key][0],
            )
            for key in seen
        ]
        legend_above(figure, patches, len(patches))

    return draw_chart(
        "integrity",
        "Integrity",
        "Each bar is one cell; its length is shared out among what the calls returned, compared with the "
        "sequential reference of the same request. The figure is the number of bit-identical outputs.",
        (0.9 + 0.62 * len(names), 1.2 + 0.55 * len(names)),
        draw,
    )


def throughput(cells: Sequence[Cell], cores: int | None, laws: Mapping[str, Any]) -> Chart:
    """Utterances per second with the fitted law, and the speed-up over `sequential` in the same round."""
    names, counts = _names(cells), _counts(cells)

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = two_panels(figure)
        _draw_lines(left, cells, "utterances_per_s", theme)
        for name, law in laws.items():
            measured = [cell["threads"] for cell in cells if cell["subject"] == name and not cell["not_run"]]
            draw_law(left, law, subject_look(name, names), max(measured, default=1), theme)
        left.set(title="Throughput", ylabel="utterances per second")
        baseline = [cell for cell in cells if cell["subject"] == BASELINE and cell["threads"] == TARGET_THREADS]
        if baseline and baseline[0]["utterances_per_s"]:
            draw_target(left, TARGET_SPEEDUP * baseline[0]["utterances_per_s"], theme)
        _draw_lines(right, cells, "speedup", theme)
        right.set(title="Speed-up over sequential, same round", ylabel="times sequential")
        marks = [draw_target(right, TARGET_SPEEDUP, theme)]
        # The ideal line must not squeeze what was measured into the bottom of the panel.
        top = max([TARGET_SPEEDUP, *(cell["speedup"] for cell in cells if cell["speedup"] is not None)])
        marks.append(draw_ideal(right, max(counts), theme))
        for axes in (left, right):
            cores_mark = draw_cores(axes, cores, theme)
            count_axis(axes, counts, "threads")
        left.set_ylim(0, 1.08 * left.get_ylim()[1])
        right.set_ylim(0, 1.2 * top)
        marks += [*cores_mark, *([law_handle(theme)] if laws else [])]
        legend_above(figure, [*subject_handles(names, theme), *marks], 4)

    return draw_chart(
        "throughput",
        "Throughput",
        f"The star is the target: {TARGET_SPEEDUP:g} times sequential with {TARGET_THREADS} threads. "
        "Hollow markers: some outputs of that cell were wrong, so its speed is worth nothing.",
        (4.2, 7.6),
        draw,
    )


def memory(cells: Sequence[Cell]) -> Chart:
    """Peak resident memory, and its growth within the cell per thread."""

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = two_panels(figure)
        _draw_lines(left, cells, "peak_rss_mib", theme)
        left.set(title="Peak resident memory", ylabel="MiB")
        ran = [cell for cell in cells if not cell["not_run"]]
        if ran:
            least = min(cell["threads"] for cell in ran)
            start = [cell for cell in ran if cell["threads"] == least]
            level = next((cell for cell in start if cell["subject"] == BASELINE), start[0])["peak_rss_mib"]
            left.axhline(level, color=theme.target, linestyle=DASHES, linewidth=1.2, zorder=1)
        _draw_lines(right, cells, "rss_growth_per_thread_mib", theme)
        right.set(title="Growth during the cell, per thread", ylabel="MiB per thread")
        for axes in (left, right):
            count_axis(axes, _counts(cells), "threads")
            axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]), top=1.08 * axes.get_ylim()[1])
        constant = Line2D([], [], color=theme.target, linestyle=DASHES, label="constant memory")
        legend_above(figure, [*subject_handles(_names(cells), theme), constant], 3)

    return draw_chart(
        "memory",
        "Memory",
        "The dashed line is constant memory: what the first sequential cell needed at its peak. All subjects "
        "run in one process; what a cell freed is given back before the next. The other panel is what a cell added.",
        (3.9, 7.2),
        draw,
    )


def _draw_outcomes(axes: Axes, cell: Cell, column: int, row: int, theme: Theme, *, narrow: bool) -> None:
    width, height = 0.92, 0.62
    if cell["not_run"] or not cell["utterances"]:
        axes.text(column, row, "not run", ha="center", va="center", color=theme.faint)
        return
    left = column - width / 2
    for key, (_, look, hatch) in OUTCOMES.items():
        share = width * cell[key] / cell["utterances"]
        if share:
            axes.barh(
                row,
                share,
                height,
                left,
                color=theme.colour(look),
                hatch=hatch,
                edgecolor=theme.background,
                linewidth=0,
            )
            left += share
    clean = cell["bit_identical"] == cell["utterances"]
    axes.text(
        column,
        row,
        str(cell["bit_identical"]) if narrow else f"{cell['bit_identical']}/{cell['utterances']}",
        ha="center",
        va="center",
        fontweight="bold",
        color="#ffffff" if clean else theme.text,
        bbox=None if clean else {"boxstyle": "round,pad=0.2", "facecolor": theme.background, "edgecolor": "none"},
    )


def _draw_lines(axes: Axes, cells: Sequence[Cell], key: str, theme: Theme) -> None:
    names = _names(cells)
    for name in names:
        look = subject_look(name, names)
        colour = theme.colour(look)
        points = sorted(
            (cell["threads"], cell[key], _is_clean(cell))
            for cell in cells
            if cell["subject"] == name and cell[key] is not None and not cell["not_run"]
        )
        axes.plot(
            [threads for threads, _, _ in points], [value for _, value, _ in points],
            color=colour, linestyle=look.line, linewidth=1.8, zorder=3,
        )  # fmt: skip
        for threads, value, clean in points:
            axes.plot(
                threads, value, marker=look.marker, markersize=6.5, markeredgecolor=colour,
                markerfacecolor=colour if clean else theme.background, linestyle="none", zorder=4,
            )  # fmt: skip


def _is_clean(cell: Cell) -> bool:
    return bool(cell["bit_identical"] == cell["utterances"])


def _names(cells: Sequence[Cell]) -> list[str]:
    return list(dict.fromkeys(cell["subject"] for cell in cells))


def _counts(cells: Sequence[Cell]) -> list[int]:
    return sorted({cell["threads"] for cell in cells})
