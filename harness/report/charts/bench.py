"""The charts of a benchmark: throughput and memory against workers, latency, and where the time goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from harness.report.charts.marks import (
    TARGET_SPEEDUP,
    count_axis,
    draw_cores,
    draw_ideal,
    draw_law,
    draw_target,
    law_handle,
    subject_handles,
)
from harness.report.figure import Chart, draw_chart, is_narrow, legend_above, two_panels
from harness.report.theme import Look, Theme, subject_look

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = dict[str, Any]

SERVICE, QUEUEING = Look("#0072b2", "#56b4e9", "", ""), Look("#e69f00", "#f0c244", "", "")
STAGES: Mapping[str, tuple[str, Look, str]] = {
    "voice": ("voice preparation", Look("#009e73", "#2fc99b", "", ""), "..."),
    "speech_tokens": ("T3", Look("#0072b2", "#56b4e9", "", ""), ""),
    "mel": ("S3Gen flow", Look("#d55e00", "#ff8c3a", "", ""), "///"),
    "waveform": ("vocoder and watermark", Look("#f0c244", "#f0d264", "", ""), ""),
    "render": ("S3Gen flow and vocoder", Look("#b0643a", "#e0a070", "", ""), "xx"),
    "watermark": ("watermark", Look("#c9ced4", "#8a929c", "", ""), ""),
}


def throughput(table: Sequence[Row], laws: Mapping[str, Any], cores: int | None) -> Chart:
    """Audio per second against workers, and the speed-up over stock sequential with its interval."""
    rows = [row for row in table if not row["not_run"]]
    names, counts = _names(rows), sorted({int(row["workers"]) for row in rows})

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = two_panels(figure)
        _lines(left, rows, "audio_s_per_s", theme)
        for subject, law in laws.items():
            measured = [row["workers"] for row in table if row["subject"] == subject and not row["not_run"]]
            draw_law(left, law, subject_look(subject, names), max(measured, default=1), theme)
        left.set(title="Throughput", ylabel="seconds of audio per second")
        _lines(right, rows, "speedup", theme)
        marks = [draw_target(right, TARGET_SPEEDUP, theme), draw_ideal(right, max(counts), theme)]
        top = max((row["speedup"]["high"] or row["speedup"]["median"] for row in rows if row["speedup"]), default=1.0)
        right.set(title="Speed-up over stock sequential, same round", ylabel="times stock")
        for axes in (left, right):
            cores_mark = draw_cores(axes, cores, theme)
            count_axis(axes, counts, "workers")
        left.set_ylim(0, 1.08 * left.get_ylim()[1])
        right.set_ylim(0, 1.15 * max(top, 1.1 * TARGET_SPEEDUP))
        marks += [*cores_mark, *([law_handle(theme)] if laws else [])]
        legend_above(figure, [*subject_handles(names, theme), *marks], 4)

    return draw_chart(
        "throughput",
        "Throughput",
        "Medians over rounds; bars are bootstrap 95 % intervals, or the range of fewer than six rounds. Thin curves: "
        "the universal scalability law, fitted. Hollow markers: some outputs of that cell had the wrong bits, so its "
        "speed is worth nothing.",
        (4.4, 7.8),
        draw,
    )


def memory(entries: Sequence[Row], measured: str) -> Chart:
    """Peak memory against workers; flat is what sharing one set of weights looks like.

    Args:
        entries: of contestants.
        measured: what was, in words.
    """
    names = [entry["subject"] for entry in entries]

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = two_panels(figure)
        for entry in entries:
            look = subject_look(entry["subject"], names)
            by_count = sorted((int(count), peak) for count, peak in entry["peak_mib"].items())
            counts, peaks = [count for count, _ in by_count], [peak for _, peak in by_count]
            style: dict[str, Any] = {
                "color": theme.colour(look),
                "linestyle": look.line,
                "marker": look.marker,
                "linewidth": 1.8,
            }
            left.plot(counts, peaks, **style, label=_with_slope(entry))
            right.plot(counts, [peak - peaks[0] for peak in peaks], **style)
            if entry["slope_mib_per_worker"] is not None:
                fitted = [entry["slope_mib_per_worker"] * (count - counts[0]) for count in counts]
                right.plot(counts, fitted, color=theme.colour(look), linewidth=0.9, alpha=0.6)
            if entry["cache_mib_per_request"] and entry["subject"].startswith("engine"):
                growth = [entry["cache_mib_per_request"] * (count - counts[0]) for count in counts]
                right.plot(counts, growth, color=theme.colour(look), linestyle=":", linewidth=1.2)
        left.set(title="Peak memory", ylabel="MiB", ylim=(0, 1.08 * left.get_ylim()[1]))
        right.set(title="Growth from the fewest workers", ylabel="MiB")
        for axes in (left, right):
            count_axis(axes, sorted({int(count) for entry in entries for count in entry["peak_mib"]}), "workers")
        handles = [*left.get_legend_handles_labels()[0]]
        handles.append(Line2D([], [], color=theme.text, linestyle=":", label="caches alone, by formula (engines)"))
        handles.append(Line2D([], [], color=theme.text, linewidth=0.9, alpha=0.6, label="slope, fitted"))
        legend_above(figure, handles, 3)

    return draw_chart(
        "memory",
        "Memory",
        measured,
        (4.1, 7.4),
        draw,
    )


def latency(entries: Sequence[Row]) -> Chart:
    """Distribution of latency from the scheduled arrival, beside the same requests served alone."""
    names = [entry["subject"] for entry in entries]

    def draw(figure: Figure, theme: Theme) -> None:
        left, right = two_panels(figure)
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
        legend_above(figure, handles, 2)

    return draw_chart(
        "latency",
        "Latency",
        "Arrivals follow a Poisson process that waits for nobody, at a share of each contestant's own capacity.",
        (4.3, 7.8),
        draw,
    )


def latency_split(entries: Sequence[Row]) -> Chart | None:
    """Each answered request as a column: the time it was worked on, and on top of it its waiting."""
    known = [entry for entry in entries if entry.get("split_s")]
    if not known:
        return None
    most = max(sum(split) for entry in known for split in entry["split_s"])

    def draw(figure: Figure, theme: Theme) -> None:
        across = 1 if is_narrow(figure) else min(3, len(known))
        down = -(-len(known) // across)
        panels = list(figure.subplots(down, across, sharey=True, squeeze=False).flat)
        for axes in panels[len(known) :]:
            axes.set_visible(False)
        for axes, entry in zip(panels, known, strict=False):
            service, queueing = zip(*entry["split_s"], strict=True)
            places = range(len(service))
            axes.bar(places, service, 1.0, color=theme.colour(SERVICE), linewidth=0)
            axes.bar(places, queueing, 1.0, service, color=theme.colour(QUEUEING), linewidth=0)
            axes.set_title(entry["subject"], fontsize="medium")
            axes.set_xticks([])
            axes.set_xlabel(f"{len(service)} requests, fastest to slowest")
            axes.set_ylabel("seconds")
            axes.label_outer()
            axes.set_ylim(0, 1.05 * most)
            axes.grid(axis="y")
            axes.set_axisbelow(True)
        worked_on = Patch(facecolor=theme.colour(SERVICE), label="service: worked on, alone or in a batch")
        waited = Patch(facecolor=theme.colour(QUEUEING), label="queueing: waiting for its turn")
        legend_above(figure, [worked_on, waited], 1 if is_narrow(figure) else 2)

    count = len(known)
    return draw_chart(
        "latency-split",
        "Latency, split",
        "A column per request, ordered by its latency from the scheduled arrival.",
        (1.0 + 2.2 * -(-count // min(3, count)), 1.0 + 2.0 * count),
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
        axes.margins(x=0.16)
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        legend_above(figure, axes.get_legend_handles_labels()[0], 4)

    return draw_chart(
        "stages",
        "Where the time goes",
        "Wall time by stage. Stock encodes the voice anew for every call, the others once. Stock's S3Gen makes mel "
        "and waveform in one go.",
        (1.7 + 0.45 * len(entries), 2.0 + 0.45 * len(entries)),
        draw,
    )


def _lines(axes: Axes, rows: Sequence[Row], key: str, theme: Theme) -> None:
    names = _names(rows)
    for name in names:
        look = subject_look(name, names)
        colour = theme.colour(look)
        mine = sorted((row for row in rows if row["subject"] == name), key=lambda row: row["workers"])
        points = [(row, row[key]) for row in mine if row[key]]
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


def _ecdf(axes: Axes, values: Sequence[float], colour: str, line: str, label: str | None) -> None:
    if values:
        ordered = sorted(values)
        shares = np.arange(len(ordered) + 1) / len(ordered)
        axes.step(
            [ordered[0], *ordered], shares, where="post", color=colour, linestyle=line, linewidth=1.7, label=label
        )


def _names(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["subject"] for row in rows))


def _with_slope(entry: Row) -> str:
    slope = entry["slope_mib_per_worker"]
    return str(entry["subject"]) if slope is None else f"{entry['subject']} ({slope:.1f} MiB/worker)"
