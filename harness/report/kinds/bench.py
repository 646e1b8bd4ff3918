"""A benchmark: targets, scaling, memory, latency, and each stage beside its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.bench import tables
from harness.report.charts import bench as charts
from harness.report.charts.limits import stages_beside_limits
from harness.report.charts.rounds import rounds
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table, Tone, numbers
from harness.report.plain_text import number
from harness.verdict.bench.result import FILE, NEEDED, VERSION
from harness.verdict.history import Better, Value
from harness.verdict.saved import load_result, save_result

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OBSERVATIONS = "bench-observations.jsonl"
BASELINE = "sequential"
FOLLOWED: dict[str, Better] = {
    "utterances_per_s": "higher", "audio_s_per_s": "higher", "speedup": "higher", "cpu_s_per_audio_s": "lower",
}  # fmt: skip
TONES: dict[str, Tone] = {"MET": "good", "NOT MET": "bad", "WRONG OUTPUTS": "bad", "NOT MEASURED": "unsure"}
PARTS = {
    "t3": (
        "T3 alone",
        (
            "The same T3 with a tiny S3Gen behind it, its vocoder of very few layers, and voices encoded beforehand; "
            "everybody runs its own whole path. "
            "The companion's share is in every time, so ratios come out too near to 1 rather than too far from it."
        ),
    ),
    "s3gen": ("S3Gen alone", "The same S3Gen behind a tiny T3, voices encoded beforehand; otherwise as above."),
}
HOW = (
    (
        "Cells run interleaved in rounds, in ABBA order, with stock sequential among those of each number of workers. "
        "Every ratio is to the nearest stock sequential of the same round; figures are medians over rounds, brackets "
        "bootstrap 95 % intervals, or, of fewer than six rounds, their range. "
        "Stock encodes the voice anew for each call, as its generate() does; wrapper and engines keep encoded voices."
    ),
    (
        "Outputs are checked while they are timed: the wrapper, lock and pool against stock alone, an engine against "
        "itself one request at a time; what was not spoken alone, against its first output. No cell is its own "
        "reference."
    ),
)


def load(folder: Path) -> dict[str, Any]:
    """Read `bench.json` of `folder`; a run that was cut off is judged first, by what it saw."""
    if not (folder / FILE).exists():
        _judge_what_was_seen(folder)
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out a benchmark."""
    whole = result["table"].get("whole", [])
    drawable = [row for row in whole if not row["not_run"]]
    sections = [Section("Targets", table=tables.targets(result["targets"]))]
    if drawable:
        chart = charts.throughput(whole, result["scaling_law"], result["environment"].get("cores"))
        sections.append(Section("Throughput", HOW, tables.scaling(whole), (chart,)))
    if result["scaling_law"]:
        law = "Throughput = rate n / (1 + contention (n - 1) + coherence n (n - 1)), fitted to the medians."
        sections.append(Section("Scaling law", (law,), tables.laws(result["scaling_law"]), folded=True))
    sections += [
        Section(title, (text,), tables.scaling(result["table"][part]))
        for part, (title, text) in PARTS.items()
        if result["table"].get(part)
    ]
    sections += _memory(result) + _latency(result) + _stages(result) + _tokens(result)
    sections += _fidelity(result) + _rounds(result)
    sections.append(environment_section(result["environment"], _facts(result)))
    status = result["run"]["status"]
    source = f"{FILE} ({result['version']}); raw observations are in {OBSERVATIONS} beside it."
    return Part("Benchmark", status, TONES[status], result["run"]["reason"], tuple(sections), source)


def metrics(result: Mapping[str, Any]) -> dict[str, Value]:
    """Return `bench/SIZE/PART/CONTESTANT/WORKERS/NAME`, and memory under the part `memory`."""
    command = result["command"]
    head = f"bench/{command.get('profile')}" + (f"-{command['checkpoint']}" if command.get("checkpoint") else "")
    found = {}
    for part_name, rows in result["table"].items():
        for row in rows:
            for name, better in FOLLOWED.items():
                if not row["not_run"] and row[name] and row["subject"] != BASELINE:
                    at = f"{head}/{part_name}/{row['subject']}/{row['workers']}/{name}"
                    found[at] = Value(row[name]["median"], better, row[name]["low"], row[name]["high"])
    for entry in result["memory"]:
        for workers, peak in entry["peak_mib"].items():
            found[f"{head}/memory/{entry['subject']}/{workers}/peak_mib"] = Value(peak, "lower")
    return found


KIND = Kind("bench", 20, (FILE, OBSERVATIONS), load, part, metrics)


def _judge_what_was_seen(folder: Path) -> None:
    """Judge a benchmark that was cut off: every observation is on disk as soon as it is made."""
    from harness.observations.bench_store import read_bench_observations  # noqa: PLC0415 - seldom needed
    from harness.verdict.bench.result import judge_bench  # noqa: PLC0415 - the same

    save_result(judge_bench(read_bench_observations(folder / OBSERVATIONS)), folder / FILE)


def _memory(result: Mapping[str, Any]) -> list[Section]:
    if not result["memory"]:
        return []
    kind = str(result["environment"].get("memory_kind", "rss")).upper()
    host = (
        f"Peak of each contestant by itself, measured as {kind} of the processes that hold its models: the shared "
        "model and libraries, what building the contestant added (own), what an engine holds on to once it has heard "
        "the voices and prompts of its cells, whoever asks (kept), and what the cell added."
    )
    gpu = "Peak of the GPU memory that tensors take, those of all contestants together."
    measured = gpu if str(result["command"].get("device")).startswith("cuda") else host
    text = f"{measured} Cache: bytes per token times the average request's prompt and tokens."
    return [Section("Memory", (text,), tables.memory(result["memory"]), (charts.memory(result["memory"], measured),))]


def _latency(result: Mapping[str, Any]) -> list[Section]:
    without = tuple(f"Not measured: {one['subject']} ({one['reason']})." for one in result.get("latency_left_out", ()))
    if not result["latency"]:
        return [Section("Latency", without)] if without else []
    text = (
        (
            "Latency runs from the scheduled arrival, not from when somebody had time. A percentile is printed only "
            "with the samples that MLPerf LoadGen's early stopping asks for (99 % confidence)."
        ),
        *without,
    )
    drawn = [charts.latency(result["latency"]), charts.latency_split(result["latency"])]
    return [Section("Latency", text, tables.latencies(result["latency"]), tuple(chart for chart in drawn if chart))]


def _stages(result: Mapping[str, Any]) -> list[Section]:
    sections = []
    if result["where_time_goes"]:
        sections.append(Section("Where the time goes", charts=(charts.stages(result["where_time_goes"]),)))
    if result["stages"]:
        limit = f"This machine at best: {tables.limits(result['limits'])}."
        how = (
            "Stock's stages are upstream's own methods, called alone. An engine's T3 step is the wall time of the "
            "cells of T3 alone over the steps they needed at least. Arithmetic counts products, convolutions and "
            "attention; reading counts weights and cache once per call, which is too little for a stage that goes over "
            "its weights several times. An engine's float32 flow may be above float32's limit: with AMX it multiplies "
            "numbers as sums of two bfloat16. bfloat16 is held against float32's limit where that is higher: each of "
            "its numbers is a float32 number, too."
        )
        chart = stages_beside_limits(result["stages"])
        drawn = (chart,) if chart else ()
        sections.append(Section("Stages beside the limits", (limit, how), tables.stages(result["stages"]), drawn))
    return sections


def _tokens(result: Mapping[str, Any]) -> list[Section]:
    sections = []
    if result["agreement"]:
        text = ("Speech tokens of the engine, in company, beside those of stock in the same dtype, run alone.",)
        sections.append(Section("Agreement with stock", text, tables.agreement(result["agreement"])))
    if result["token_cost"]:
        heads = (
            "Dtype", "Tokens", "Early s/token", "Late s/token", "Growth", "95 % interval or range",
            "Required by attention",
        )  # fmt: skip
        rows = tuple(
            (
                Field(entry["dtype"]),
                *numbers(
                    (
                        f"{min(entry['tokens'])} to {max(entry['tokens'])}",
                        f"{entry['early_s_per_token']:.4f}",
                        f"{entry['late_s_per_token']:.4f}",
                        number(entry["growth"], 2),
                        tables.between(entry.get("growth_low"), entry.get("growth_high"), entry["repeats"]),
                        f"{entry['required_growth']:.2f}",
                    )
                ),
            )
            for entry in result["token_cost"]
        )
        sections.append(Section("Cost of the n-th token", table=Table(heads, rows)))
    return sections


def _rounds(result: Mapping[str, Any]) -> list[Section]:
    text = "Every round as it was timed: what the medians, and their intervals, are made of."
    chart = rounds(result.get("rounds", []))
    return [Section("Raw rounds", (text,), charts=(chart,))] if chart else []


def _fidelity(result: Mapping[str, Any]) -> list[Section]:
    if not result.get("fidelity"):
        return []
    text = (
        (
            "The same speech tokens rendered by stock and by the engine's S3Gen, with the same noise: median, least "
            "and greatest over utterances. The vocoder's sine source adds up the pitch it reads from the mel "
            "spectrogram, so where that differs a little the phase drifts, and nothing is left of a waveform's "
            "signal-to-noise ratio; the distance of the log mel spectra sees less of it. Stock with other noise shows "
            "what stock itself leaves open."
        ),
    )
    return [Section("Fidelity to stock's rendering", text, tables.fidelity(result["fidelity"]))]


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    facts = {f"command: {name}": value for name, value in result["command"].items()}
    for one in result.get("contestants", ()):
        if one["details"] and one["part"] == "whole":
            facts[one["name"]] = ", ".join(f"{name} {value}" for name, value in one["details"].items())
    return facts
