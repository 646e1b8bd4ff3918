"""Draw a stress run: charts and page from `stress.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.errors import SavedFileError
from harness.report.charts import TARGET_SPEEDUP, TARGET_THREADS, integrity, memory, throughput
from harness.report.page import TONES, Field, Page, Section, Table, render_page
from harness.report.table import number
from harness.verdict.stress_result import load_stress

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

PAGE = "index.html"
CHART_FOLDER = "charts"


def draw_stress(folder: Path) -> Path:
    """Draw the charts and the page of the run saved in `folder`; return the page's path.

    Raises:
        SavedFileError: `stress.json` is missing, damaged or of another version.
    """
    result = load_stress(folder)
    try:
        page = stress_page(result)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise SavedFileError(
            f"{folder / 'stress.json'}: an entry is missing or of the wrong kind: {error!r}"
        ) from error
    for section in page.sections:
        for chart in section.charts:
            chart.save(folder / CHART_FOLDER)
    path = folder / PAGE
    path.write_text(render_page(page), encoding="utf-8")
    return path


def stress_page(result: Mapping[str, Any]) -> Page:
    """Lay out the page of a stress run."""
    cells = result["cells"]
    sections = (
        Section("Verdicts", table=_verdicts(result)),
        Section("Integrity", charts=(integrity(cells),)),
        Section("Throughput", text=_against_target(cells), charts=(throughput(cells),)),
        Section("Memory", text=_memory_text(cells), charts=(memory(cells),)),
        Section("Cells", table=_cells(result)),
        Section("What went wrong, in examples", table=_examples(result), folded=True),
        Section("Workload", text=_workload_text(result), table=_workload(result), folded=True),
        Section("Environment", table=_environment(result)),
    )
    footer = f"Drawn from stress.json ({result['version']}); the raw calls are in observations.jsonl beside it."
    title = "Stress: many threads, one ChatterBox"
    return Page(title, result["run"]["status"], result["run"]["reason"], sections, footer)


def _verdicts(result: Mapping[str, Any]) -> Table:
    rows = tuple(
        (Field(name), Field(status, TONES[status]), Field(result["reasons"][name]))
        for name, status in result["verdicts"].items()
    )
    return Table(("Subject", "Verdict", "Why"), rows)


def _cells(result: Mapping[str, Any]) -> Table:
    heads = (
        "Subject", "Threads", "Identical", "Value", "Shape", "Crash", "Hang", "After", "Wall s",
        "Utt/s", "Audio s/s", "Speed-up", "Peak MiB", "MiB/thread",
    )  # fmt: skip
    rows = []
    for cell in result["cells"]:
        after = {True: "clean", False: "differs", None: "-"}[cell["sequential_after_ok"]]
        figures = (
            str(cell["threads"]), f"{cell['bit_identical']}/{cell['utterances']}",
            str(cell["value_corruptions"]), str(cell["shape_corruptions"]), str(cell["crashes"]),
            str(cell["hangs"]), after, number(cell["wall_s"], 2), number(cell["utterances_per_s"], 2),
            number(cell["audio_s_per_s"], 2), number(cell["speedup"], 2),
            number(cell["peak_rss_mib"], 0), number(cell["rss_growth_per_thread_mib"], 1),
        )  # fmt: skip
        rows.append((Field(cell["subject"]), *(Field(figure, number=True) for figure in figures)))
    return Table(heads, tuple(rows))


def _examples(result: Mapping[str, Any]) -> Table:
    rows = tuple(
        (Field(cell["subject"]), Field(str(cell["threads"]), number=True), Field(text))
        for cell in result["cells"]
        for text in ([cell["not_run"]] if cell["not_run"] else cell["errors"][:2])
    )
    return Table(("Subject", "Threads", "Example"), rows)


def _against_target(cells: list[Mapping[str, Any]]) -> tuple[str, ...]:
    lines = []
    for cell in cells:
        known = cell["threads"] == TARGET_THREADS and cell["speedup"] is not None
        if known and cell["subject"] == "stateless":
            met = "met" if cell["speedup"] >= TARGET_SPEEDUP else "not met"
            lines.append(
                f"stateless at {TARGET_THREADS} threads: {cell['speedup']:.2f} times sequential; "
                f"the target of {TARGET_SPEEDUP:g} is {met}."
            )
    return tuple(lines)


def _memory_text(cells: list[Mapping[str, Any]]) -> tuple[str, ...]:
    ran = [cell for cell in cells if cell["subject"] == "stateless" and not cell["not_run"]]
    if not ran:
        return ()
    low, high = min(ran, key=lambda cell: cell["threads"]), max(ran, key=lambda cell: cell["threads"])
    line = (
        f"stateless: peak {low['peak_rss_mib']:.0f} MiB at {low['threads']} thread(s) and "
        f"{high['peak_rss_mib']:.0f} MiB at {high['threads']}; the cell with the most threads added "
        f"{high['rss_growth_per_thread_mib']:.1f} MiB per thread."
    )
    return (line,)


def _workload_text(result: Mapping[str, Any]) -> tuple[str, ...]:
    workload = result.get("workload")
    if not workload:
        return ("The subjects brought their own requests.",)
    control = result.get("control") or {"matched": 0, "requests": 0}
    reproduced = f"{control['matched']} of {control['requests']} references"
    return (f"Seed {workload['seed']}. A fresh process reproduced {reproduced}.",)


def _workload(result: Mapping[str, Any]) -> Table | None:
    workload = result.get("workload")
    if not workload:
        return None
    rows = []
    for item in workload["utterances"]:
        request = item["request"]
        values = (request["exaggeration"], request["cfg_weight"], request["temperature"], request["seed"])
        figures = (str(len(request["text"])), *map(str, values))
        rows.append((Field(item["voice"]), *(Field(text, number=True) for text in figures), Field(request["text"])))
    return Table(("Voice", "Characters", "Exaggeration", "CFG weight", "Temperature", "Seed", "Text"), tuple(rows))


def _environment(result: Mapping[str, Any]) -> Table:
    facts = dict(result["environment"])
    facts.update(facts.pop("versions", {}))
    model = (result.get("command") or {}).get("model")
    if model:
        facts = {"model": " ".join(str(part) for part in model.values() if part), **facts}
    rows = tuple((Field(str(name)), Field(str(value))) for name, value in facts.items())
    return Table(("What", "Value"), rows)
