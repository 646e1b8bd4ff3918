"""Draw a benchmark: charts and page from `bench.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.report.bench import charts, tables
from harness.report.page import Field, Page, Section, Table, render_page
from harness.verdict.bench.result import FILE, load_bench

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAGE = "index.html"
CHART_FOLDER = "charts"
PARTS = {
    "t3": (
        "T3 alone",
        (
            "The same T3 with a tiny S3Gen behind it and voices encoded beforehand; everybody runs its own whole path. "
            "The companion's share is in every time, so ratios come out too near to 1 rather than too far from it."
        ),
    ),
    "s3gen": ("S3Gen alone", "The same S3Gen behind a tiny T3, voices encoded beforehand; otherwise as above."),
}
HOW = (
    (
        "Cells run interleaved in rounds, in ABBA order, with stock sequential in the middle of each. Every ratio is "
        "to stock sequential of the same round; figures are medians over rounds, brackets bootstrap 95 % intervals. "
        "Stock encodes the voice anew for each call, as its generate() does; wrapper and engines keep encoded voices."
    ),
    (
        "Outputs are checked while they are timed: the wrapper, lock and pool against stock alone, an engine against "
        "itself one request at a time; what was not spoken alone, against its first output."
    ),
)


def draw_bench(folder: Path) -> Path:
    """Draw the charts and the page of the run saved in `folder`; return the page's path.

    Raises:
        SavedFileError: `bench.json` is missing, damaged or of another version.
    """
    result = load_bench(folder)
    try:
        page = bench_page(result)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SavedFileError(f"{folder / FILE}: an entry is missing or of the wrong kind: {error!r}") from error
    for section in page.sections:
        for chart in section.charts:
            chart.save(folder / CHART_FOLDER)
    path = folder / PAGE
    path.write_text(render_page(page), encoding="utf-8")
    return path


def bench_page(result: Mapping[str, Any]) -> Page:
    """Lay out the page."""
    whole = result["table"].get("whole", [])
    drawable = [row for row in whole if not row["not_run"]]
    sections = [Section("Targets", table=tables.targets(result["targets"]))]
    if drawable:
        chart = charts.throughput(whole, result["scaling_law"])
        sections.append(Section("Throughput", HOW, tables.scaling(whole), (chart,)))
    if result["scaling_law"]:
        law = "Throughput = rate n / (1 + contention (n - 1) + coherence n (n - 1)), fitted to the medians."
        sections.append(Section("Scaling law", (law,), tables.laws(result["scaling_law"]), folded=True))
    sections += [
        Section(title, (text,), tables.scaling(result["table"][part]))
        for part, (title, text) in PARTS.items()
        if result["table"].get(part)
    ]
    sections += _memory(result) + _latency(result) + _stages(result) + _tokens(result) + _fidelity(result)
    sections.append(Section("Environment", table=_environment(result)))
    footer = f"Drawn from bench.json ({result['version']}); raw observations are in bench-observations.jsonl beside it."
    return Page("Benchmark", result["run"]["status"], result["run"]["reason"], tuple(sections), footer)


def _memory(result: Mapping[str, Any]) -> list[Section]:
    if not result["memory"]:
        return []
    kind = str(result["environment"].get("memory_kind", "rss")).upper()
    text = (
        (
            f"Measured as {kind} of the processes that hold a contestant's models. Cache: bytes per token times the "
            "average request's prompt and tokens."
        ),
    )
    return [Section("Memory", text, tables.memory(result["memory"]), (charts.memory(result["memory"]),))]


def _latency(result: Mapping[str, Any]) -> list[Section]:
    if not result["latency"]:
        return []
    text = (
        (
            "Latency runs from the scheduled arrival, not from when somebody had time. A percentile is printed only "
            "with the samples that MLPerf LoadGen's early stopping asks for (99 % confidence)."
        ),
    )
    return [Section("Latency", text, tables.latencies(result["latency"]), (charts.latency(result["latency"]),))]


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
            "its weights several times."
        )
        sections.append(Section("Stages beside the limits", (limit, how), tables.stages(result["stages"])))
    return sections


def _tokens(result: Mapping[str, Any]) -> list[Section]:
    sections = []
    if result["agreement"]:
        text = ("Speech tokens of the engine, in company, beside those of stock in the same dtype, run alone.",)
        sections.append(Section("Agreement with stock", text, tables.agreement(result["agreement"])))
    if result["token_cost"]:
        heads = ("Dtype", "Tokens", "Early s/token", "Late s/token", "Growth", "Required by attention")
        rows = tuple(
            (
                Field(entry["dtype"]),
                *(
                    Field(text, number=True)
                    for text in (
                        f"{min(entry['tokens'])} to {max(entry['tokens'])}",
                        f"{entry['early_s_per_token']:.4f}",
                        f"{entry['late_s_per_token']:.4f}",
                        "-" if entry["growth"] is None else f"{entry['growth']:.2f}",
                        f"{entry['required_growth']:.2f}",
                    )
                ),
            )
            for entry in result["token_cost"]
        )
        sections.append(Section("Cost of the n-th token", table=Table(heads, rows)))
    return sections


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


def _environment(result: Mapping[str, Any]) -> Table:
    facts = {**result["environment"]}
    facts.update(facts.pop("versions", {}))
    facts.update({f"command: {name}": value for name, value in result["command"].items()})
    for one in result.get("contestants", ()):
        if one["details"] and one["part"] == "whole":
            facts[one["name"]] = ", ".join(f"{name} {value}" for name, value in one["details"].items())
    return Table(("What", "Value"), tuple((Field(str(name)), Field(str(value))) for name, value in facts.items()))
