"""The charts of a benchmark: throughput and memory against workers, latency, and where the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D

from harness.report.figure import Chart, draw_chart
from harness.report.theme import Look, Theme, subject_look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

TARGET_WORKERS, TARGET_SPEEDUP = 4, 2.0
DASHES = (0, (5, 3))
CURVE_POINTS = 200
STAGES: Mapping[str, tuple[str, Look, str]] = {
    "voice": ("voice preparation", Look("#009e73", "#2fc99b", "", ""), "..."),
    "speech_tokens": ("T3", Look("#0072b2", "#56b4e9", "", ""), ""),
    "mel": ("S3Gen flow", Look("#d55e00", "#ff8c3a", "", ""), "///"),
    "waveform": ("vocoder and watermark", Look("#f0c244", "#f0d264", "", ""), ""),
    "render": ("S3Gen flow and vocoder", Look("#b0643a", "#e0a070", "", ""), "xx"),
    "watermark": ("watermark", Look("#c9ced4", "#8a929c", "", ""), ""),
}


def throughput(table: Sequence[Row], laws: Mapping[str, Any]) -> Chart:
    """Audio per second against workers, and the speed-up over stock sequential with its interval."""
    rows = [row for row in table if not row["not_run"]]

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = figure.subplots(1, 2)
        _lines(left, rows, "audio_s_per_s", theme)
        for subject, law in laws.items():
            _draw_law(left, law, theme.colour(subject_look(subject, _names(rows))), _most_workers(rows))
        left.set(title="Throughput", ylabel="seconds of audio per second", ylim=(0, None))
        _lines(right, rows, "speedup", theme)
        most = _most_workers(rows)
        right.plot([1, most], [1, most], color=theme.faint, linestyle=":", linewidth=1.4, zorder=1)
        _target(right, theme)
        top = max((row["speedup"]["high"] or row["speedup"]["median"] for row in rows if row["speedup"]), default=1.0)
        right.set(title="Speed-up over stock sequential, same round", ylabel="times", ylim=(0, 1.15 * max(top, 2.2)))
        extra = [
            Line2D([], [], color=theme.target, linestyle=DASHES, marker="*", markersize=11, label="target: 2x at 4"),
            Line2D([], [], color=theme.faint, linestyle=":", label="ideal: n workers, n times"),
        ]
        if laws:
            extra.append(Line2D([], [], color=theme.text, linewidth=0.9, alpha=0.55, label="scaling law, fitted"))
        _finish(figure, (left, right), rows, theme, extra)

    return draw_chart(
        "throughput",
        "Throughput",
        "Medians over rounds; bars are bootstrap 95 % intervals. Thin curves: the universal scalability law, fitted. "
        "Hollow markers: some outputs of that cell had the wrong bits, so its speed is worth nothing.",
        (9.6, 4.3),
        draw,
    )


def memory(entries: Sequence[Row]) -> Chart:
    """Peak memory against workers; flat is what sharing one set of weights looks like."""
    names = [entry["subject"] for entry in entries]

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = figure.subplots(1, 2)
        for entry in entries:
            look = subject_look(entry["subject"], names)
            counts = [int(count) for count in entry["peak_mib"]]
            peaks = list(entry["peak_mib"].values())
            style = {"color": theme.colour(look), "linestyle": look.line, "marker": look.marker, "linewidth": 1.8}
            left.plot(counts, peaks, **style, label=entry["subject"])
            right.plot(counts, [peak - peaks[0] for peak in peaks], **style)
            if entry["cache_mib_per_request"] and entry["subject"].startswith("engine"):
                growth = [entry["cache_mib_per_request"] * (count - counts[0]) for count in counts]
                right.plot(counts, growth, color=theme.colour(look), linestyle=":", linewidth=1.2)
        left.set(title="Peak memory", ylabel="MiB", ylim=(0, 1.08 * left.get_ylim()[1]))
        right.set(title="Growth from the fewest workers", ylabel="MiB")
        for axes in (left, right):
            _worker_axis(axes, sorted({int(count) for entry in entries for count in entry["peak_mib"]}))
        handles = [*left.get_legend_handles_labels()[0]]
        handles.append(Line2D([], [], color=theme.text, linestyle=":", label="caches alone, by formula (engines)"))
        figure.legend(handles=handles, loc="outside upper left", ncols=3)

    return draw_chart(
        "memory",
        "Memory",
        "Peak memory of each contestant by itself: the shared model and libraries, what the contestant added when it "
        "was built, and what the cell added. The pool holds a model in each of its processes.",
        (9.6, 4.1),
        draw,
    )


def latency(entries: Sequence[Row]) -> Chart:
    """Distribution of latency from the scheduled arrival, beside the same requests served alone."""
    names = [entry["subject"] for entry in entries]

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = figure.subplots(1, 2)
        for entry in entries:
            look = subject_look(entry["subject"], names)
            colour = theme.colour(look)
            label = f"{entry['subject']} ({entry['offered_per_s']:.2f}/s, n={entry['answered']})"
            _ecdf(left, entry["latency_s"], colour, look.line, label)
            _ecdf(left, entry["alone_s"], colour, ":", None)
            _ecdf(right, entry["queueing_s"], colour, look.line, None)
        left.set(title="Latency from scheduled arrival", xlabel="seconds", ylabel="share of requests")
        right.set(title="Of which waiting and sharing", xlabel="seconds beyond the request's time alone")
        for axes in (left, right):
            axes.set_ylim(0, 1.03)
            axes.set_xlim(left=0)
            axes.grid()
        handles = [*left.get_legend_handles_labels()[0]]
        handles.append(Line2D([], [], color=theme.text, linestyle=":", label="the same requests alone"))
        figure.legend(handles=handles, loc="outside upper left", ncols=2)

    return draw_chart(
        "latency",
        "Latency",
        "Arrivals follow a Poisson process that waits for nobody, at a share of each contestant's own capacity.",
        (9.6, 4.3),
        draw,
    )


def stages(entries: Sequence[Row]) -> Chart:
    """Where a second of audio takes its time, one request at a time."""

    def draw(figure: Figure, theme: Theme) -> None:
        axes = figure.subplots()
        seen = []
        for row, entry in enumerate(entries):
            left = 0.0
            for name, (label, look, hatch) in STAGES.items():
                seconds = entry["seconds_per_audio_s"].get(name, 0.0)
                if not seconds:
                    continue
                first = label if label not in seen else None
                seen.append(label)
                axes.barh(
                    row, seconds, 0.62, left, color=theme.colour(look), hatch=hatch, label=first,
                    edgecolor=theme.background, linewidth=0,
                )  # fmt: skip
                left += seconds
            axes.text(left, row, f"  {left:.2f} s", va="center", color=theme.text)
        axes.set_yticks(range(len(entries)), [entry["subject"] for entry in entries])
        axes.set_ylim(len(entries) - 0.4, -0.6)
        axes.set_xlabel("seconds per second of audio, one request at a time")
        axes.margins(x=0.12)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        figure.legend(loc="outside upper left", ncols=3)

    return draw_chart(
        "stages",
        "Where the time goes",
        "Wall time by stage. Stock encodes the voice anew for every call, the others once. Stock's S3Gen makes mel "
        "and waveform in one go.",
        (9.6, 1.7 + 0.45 * len(entries)),
        draw,
    )


def _lines(axes: Axes, rows: Sequence[Row], key: str, theme: Theme) -> None:
    names = _names(rows)
    for name in names:
        look = subject_look(name, names)
        colour = theme.colour(look)
        points = [(row, row[key]) for row in rows if row["subject"] == name and row[key]]
        counts = [row["workers"] for row, _ in points]
        axes.plot(
            counts, [value["median"] for _, value in points], color=colour, linestyle=look.line, linewidth=1.6, zorder=3
        )
        for row, value in points:
            clean = not row["wrong_outputs"]
            axes.plot(
                row["workers"], value["median"], marker=look.marker, markersize=7, markeredgecolor=colour,
                markerfacecolor=colour if clean else theme.background, linestyle="none", zorder=4,
            )  # fmt: skip
            if value["low"] is not None:
                axes.vlines(
                    row["workers"], value["low"], value["high"], color=colour, linewidth=1.4, alpha=0.7, zorder=2
                )
        if counts == [1]:
            axes.axhline(points[0][1]["median"], color=colour, linestyle=look.line, linewidth=1.0, alpha=0.6, zorder=1)


def _draw_law(axes: Axes, law: Mapping[str, Any], colour: str, most: int) -> None:
    counts = np.linspace(1, most, CURVE_POINTS)
    slowdown = 1 + law["contention"] * (counts - 1) + law["coherence"] * counts * (counts - 1)
    axes.plot(counts, law["rate"] * counts / slowdown, color=colour, linewidth=0.9, alpha=0.55, zorder=1)


def _target(axes: Axes, theme: Theme) -> None:
    axes.axhline(TARGET_SPEEDUP, color=theme.target, linestyle=DASHES, linewidth=1.2, zorder=1)
    axes.plot(TARGET_WORKERS, TARGET_SPEEDUP, marker="*", markersize=15, color=theme.target, zorder=5)


def _ecdf(axes: Axes, values: Sequence[float], colour: str, line: str, label: str | None) -> None:
    if values:
        ordered = sorted(values)
        shares = np.arange(len(ordered) + 1) / len(ordered)
        axes.step(
            [ordered[0], *ordered], shares, where="post", color=colour, linestyle=line, linewidth=1.7, label=label
        )


def _finish(figure: Figure, panels: Sequence[Axes], rows: Sequence[Row], theme: Theme, extra: Sequence[Line2D]) -> None:
    names = _names(rows)
    for axes in panels:
        _worker_axis(axes, sorted({row["workers"] for row in rows}))
    handles = []
    for name in names:
        look = subject_look(name, names)
        handles.append(Line2D([], [], color=theme.colour(look), linestyle=look.line, marker=look.marker, label=name))
    figure.legend(handles=[*handles, *extra], loc="outside upper left", ncols=4)


def _worker_axis(axes: Axes, counts: Sequence[int]) -> None:
    axes.set_xlabel("workers")
    axes.set_xticks(counts)
    axes.grid(axis="y")


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["subject"] for row in rows))


def _most_workers(rows: Sequence[Row]) -> int:
    return max(int(row["workers"]) for row in rows)
