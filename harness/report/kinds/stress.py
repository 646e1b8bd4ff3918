"""A stress run: who returned what under threads, how fast, and with how much memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.charts.marks import TARGET_SPEEDUP, TARGET_WORKERS
from harness.report.charts.stress import integrity, memory, throughput
from harness.report.charts.timeline import timeline
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import TONES, Field, Part, Section, Table, numbers
from harness.report.plain_text import number
from harness.verdict.history import Better, Value
from harness.verdict.saved import load_result
from harness.verdict.stress_result import FILE, NEEDED, VERSION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

OBSERVATIONS = "observations.jsonl"
FOLLOWED: dict[str, Better] = {
    "utterances_per_s": "higher", "audio_s_per_s": "higher", "speedup": "higher", "peak_rss_mib": "lower",
}  # fmt: skip


def load(folder: Path) -> dict[str, Any]:
    """Read `stress.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out a stress run."""
    cells, cores = result["cells"], result["environment"].get("cores")
    laws = result.get("scaling_law", {})
    sections = (
        Section("Verdicts", table=_verdicts(result)),
        Section("Integrity", charts=(integrity(cells),)),
        Section("Throughput", text=_against_target(cells), charts=(throughput(cells, cores, laws),)),
        *_timeline(cells),
        Section("Memory", text=_memory_text(cells), charts=(memory(cells),)),
        Section("Cells", table=_cells(result), folded=True),
        Section("What went wrong, in examples", table=_examples(result), folded=True),
        Section("Workload", text=_workload_text(result), table=_workload(result), folded=True),
        environment_section(result["environment"], _model(result)),
    )
    status = result["run"]["status"]
    source = f"{FILE} ({result['version']}); the raw calls are in {OBSERVATIONS} beside it."
    title = "Stress: many threads, one ChatterBox"
    return Part(title, status, TONES[status], result["run"]["reason"], sections, source)


def metrics(result: Mapping[str, Any]) -> dict[str, Value]:
    """Return `stress/SIZE/SUBJECT/THREADS/NAME`."""
    model = (result.get("command") or {}).get("model") or {}
    size = model.get("profile") or model.get("kind") or "own"
    size += f"-{model['checkpoint']}" if model.get("checkpoint") else ""
    found = {
        f"stress/{size}/{cell['subject']}/{cell['threads']}/{name}": Value(cell[name], better)
        for cell in result["cells"]
        for name, better in FOLLOWED.items()
        if not cell["not_run"] and cell[name] is not None
    }
    # Sequential is its own measure.
    return {name: value for name, value in found.items() if not name.endswith("/speedup") or "/sequential/" not in name}


KIND = Kind("stress", 10, (FILE,), load, part, metrics)


def _timeline(cells: list[dict[str, Any]]) -> tuple[Section, ...]:
    """The cells with the most threads, as far as the file holds their calls."""
    known = [cell for cell in cells if cell.get("calls")]
    if not known:
        return ()
    most = max(cell["threads"] for cell in known)
    chart = timeline([cell for cell in known if cell["threads"] == most])
    text = f"What each of the {most} threads did. Behind a lock the calls end one by one, however early they began."
    return (Section("Timeline", text=(text,), charts=(chart,)),)


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
        rows.append((Field(cell["subject"]), *numbers(figures)))
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
        known = cell["threads"] == TARGET_WORKERS and cell["speedup"] is not None
        if known and cell["subject"] == "stateless":
            met = "met" if cell["speedup"] >= TARGET_SPEEDUP else "not met"
            lines.append(
                f"stateless at {TARGET_WORKERS} threads: {cell['speedup']:.2f} times sequential; "
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
        rows.append((Field(item["voice"]), *numbers(figures), Field(request["text"])))
    return Table(("Voice", "Characters", "Exaggeration", "CFG weight", "Temperature", "Seed", "Text"), tuple(rows))


def _model(result: Mapping[str, Any]) -> dict[str, str]:
    model = (result.get("command") or {}).get("model")
    return {"model": " ".join(str(part) for part in model.values() if part)} if model else {}
