"""The tables of a benchmark's page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.page import Field, Table, Tone, numbers
from harness.report.plain_text import number
from harness.verdict.bench.statistics import LEAST_FOR_INTERVAL, percentile_or_floor

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MEDIAN = 50.0
MET: dict[bool | None, tuple[str, Tone]] = {True: ("met", "good"), False: ("not met", "bad"), None: ("-", "unsure")}


def interval(estimate: Mapping[str, Any] | None) -> str:
    """Format a median and its interval, or the range of the rounds where there are too few for one."""
    if estimate is None:
        return "-"
    median = f"{estimate['median']:.2f}"
    if estimate["low"] is None:
        return median
    return f"{median} [{estimate['low']:.2f}, {estimate['high']:.2f}]"


def between(low: float | None, high: float | None, rounds: int) -> str:
    """Format an interval, and say so where it is only the range of so many rounds."""
    if low is None or high is None:
        return "-"
    return f"{low:.2f} to {high:.2f}" + (f" (range of {rounds})" if rounds < LEAST_FOR_INTERVAL else "")


def outputs(row: Mapping[str, Any]) -> str:
    """Say how many outputs of a row were checked, and how it went."""
    if row.get("not_run"):
        return str(row["not_run"])
    if "outputs" not in row:  # arrivals of an older version
        return "unchecked"
    count = row["outputs"]
    wrong = row["wrong_outputs"]
    checked = count["same"] + count["repeated"] + count["different"] + count["repeated_different"]
    unseen = f", {count['first_seen']} unchecked" if count["first_seen"] else ""
    raised = f", {count['raised']} raised" if count["raised"] else ""
    return f"{checked - (wrong - count['raised'])}/{checked} same{unseen}{raised}"


def targets(rows: Sequence[Mapping[str, Any]]) -> Table:
    """What was aimed at, and what was measured."""
    heads = ("Target", "Against", "Wanted", "Aim", "Measured", "95 % interval or range", "", "Note")
    table = []
    for row in rows:
        sign = "at most " if row["most"] else "at least "
        spread = between(row["low"], row["high"], row.get("rounds", 0))
        text, tone = MET[row["met"]]
        figures = (f"{sign}{row['at_least']:.2f}", number(row["aim"], 1), number(row["measured"], 2))
        words = (Field(row["what"]), Field(row["against"]))
        table.append((*words, *numbers(figures), Field(spread), Field(text, tone), Field(row["note"])))
    return Table(heads, tuple(table))


def scaling(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Every contestant at every number of workers."""
    heads = (
        "Contestant", "Workers", "Rounds", "Calls", "Utterances/s", "Audio s/s", "Real-time factor", "CPU s/audio s",
        "Times stock", "Outputs",
    )  # fmt: skip
    table = []
    for row in rows:
        if row["not_run"]:
            figures = (str(row["workers"]), *["-"] * 7)
        else:
            keys = ("utterances_per_s", "audio_s_per_s", "real_time_factor", "cpu_s_per_audio_s")
            medians = (number(row[key]["median"] if row[key] else None, 3) for key in keys)
            counts = (str(row["workers"]), str(row["rounds"]), str(row["calls"]))
            figures = (*counts, *medians, interval(row["speedup"]))
        tone: Tone = "plain" if row["not_run"] or not row["wrong_outputs"] else "bad"
        table.append((Field(row["subject"]), *numbers(figures), Field(outputs(row), tone)))
    return Table(heads, tuple(table))


def latencies(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Percentiles, or how many samples they would need."""
    names = tuple(f"p{one['percentile']:g}, s" for one in entries[0]["percentiles"])
    heads = (
        "Contestant",
        "Offered/s",
        "Of capacity",
        "Answered",
        *names,
        "Waiting, median s",
        "Service, median s",
        "Alone, median s",
        "Outputs",
    )
    table = []
    for entry in entries:
        cells = [_percentile(one["seconds"], one["samples_needed"]) for one in entry["percentiles"]]
        medians = [
            _percentile(*percentile_or_floor(entry[key], MEDIAN)) for key in ("waiting_s", "service_s", "alone_s")
        ]
        figures = (
            f"{entry['offered_per_s']:.3f}", f"{100 * entry['fraction']:.0f} %",
            f"{entry['answered']}/{entry['arrivals']}", *cells, *medians,
        )  # fmt: skip
        tone: Tone = "bad" if entry.get("wrong_outputs") else "plain"
        table.append((Field(entry["subject"]), *numbers(figures), Field(outputs(entry), tone)))
    return Table(heads, tuple(table))


def memory(entries: Sequence[Mapping[str, Any]]) -> Table:
    """Peak memory by number of workers, and its slope beside the cache formula."""
    counts = sorted({int(count) for entry in entries for count in entry["peak_mib"]})
    heads = (
        "Contestant", "Own MiB", "Kept MiB", *(f"Peak, {count}" for count in counts),
        "MiB/worker", "Cache MiB/request", "Slope/cache",
    )  # fmt: skip
    table = []
    for entry in entries:
        figures = (
            number(entry["own_mib"], 0),
            number(entry.get("kept_mib"), 0),
            *(number(entry["peak_mib"].get(str(count)), 0) for count in counts),
            number(entry["slope_mib_per_worker"], 1),
            number(entry["cache_mib_per_request"], 1),
            number(entry["slope_over_cache"], 2),
        )
        table.append((Field(entry["subject"]), *numbers(figures)))
    return Table(heads, tuple(table))


def stages(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Each stage beside this machine's limits."""
    heads = ("Who", "Stage", "Dtype", "Seconds", "GB/s", "Of memory", "GFLOP/s", "Of arithmetic", "Nearer", "Work")
    table = []
    for row in rows:
        figures = (
            f"{row['seconds']:.4f}", f"{row['gb_per_s']:.2f}", _percent(row["of_memory_limit"]),
            f"{row['gflop_per_s']:.1f}", _percent(row["of_arithmetic_limit"]),
        )  # fmt: skip
        texts = (Field(row["nearer_limit"] or "-"), Field(row["what"]))
        table.append((Field(row["subject"]), Field(row["stage"]), Field(row["dtype"]), *numbers(figures), *texts))
    return Table(heads, tuple(table))


def agreement(entries: Sequence[Mapping[str, Any]]) -> Table:
    """How many utterances of the engine have the very tokens of stock in the same dtype."""
    heads = ("Model", "Dtype", "Utterances", "Same tokens", "Share", "At least (95 %)", "Tokens", "First differences")
    table = []
    for entry in entries:
        figures = (
            str(entry["utterances"]), str(entry["same"]), f"{100 * entry['share']:.1f} %",
            f"{100 * entry['share_at_least']:.1f} %", str(entry["tokens"]),
        )  # fmt: skip
        where = ", ".join(map(str, sorted(entry["first_differences"])[:12])) or "-"
        table.append((Field(entry["profile"]), Field(entry["dtype"]), *numbers(figures), Field(where)))
    return Table(heads, tuple(table))


def fidelity(entries: Sequence[Mapping[str, Any]]) -> Table:
    """How near the engine's renderings are to stock's."""
    heads = ("Model", "Rendering", "Utterances", "Mel SNR, dB", "Waveform SNR, dB", "Log mel distance, dB")
    table = []
    for entry in entries:
        measures = [entry[key] for key in ("mel_snr_db", "waveform_snr_db", "log_mel_distance_db")]
        spreads = [f"{one['median']:.1f} ({one['least']:.1f} to {one['greatest']:.1f})" for one in measures[:2]]
        spreads.append("{median:.3f} ({least:.3f} to {greatest:.3f})".format(**measures[2]))
        figures = (str(entry["utterances"]), *spreads)
        table.append((Field(entry["profile"]), Field(entry["rendering"]), *numbers(figures)))
    return Table(heads, tuple(table))


def laws(found: Mapping[str, Mapping[str, Any]]) -> Table:
    """The fitted scaling law of every contestant."""
    heads = ("Contestant", "One worker, audio s/s", "Contention", "Coherence", "Best at", "R squared")
    table = []
    for subject, law in found.items():
        figures = (
            f"{law['rate']:.3f}", f"{law['contention']:.4f}", f"{law['coherence']:.5f}",
            number(law["best_workers"], 1), number(law["r_squared"], 3),
        )  # fmt: skip
        table.append((Field(subject), *numbers(figures)))
    return Table(heads, tuple(table))


def limits(found: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in one line what this machine can do."""
    return "; ".join(f"{name} {limit['best']:.0f} {limit['unit']}" for name, limit in found.items())


def _percentile(seconds: float | None, samples_needed: int) -> str:
    return f"needs {samples_needed} samples" if seconds is None else f"{seconds:.2f}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.0f} %"
