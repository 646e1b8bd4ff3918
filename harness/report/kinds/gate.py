"""A gate: what must not change at all, then how head compares with base, and what the machine did meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.observations.gate_store import GATE_VERSION as VERSION
from harness.observations.gate_store import OBSERVATIONS
from harness.observations.gate_store import RESULT as FILE
from harness.report.charts.gate import forest, revisions, rounds
from harness.report.facts import environment_section
from harness.report.kind import Kind
from harness.report.page import Field, Part, Section, Table, Tone, numbers
from harness.report.plain_text import number
from harness.verdict.history import Better, Value
from harness.verdict.saved import load_result

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

NEEDED = frozenset({"answer", "reason", "environment", "base", "head", "deterministic", "runs"})
TONES: dict[str, Tone] = {"PASS": "good", "FAIL": "bad", "INCONCLUSIVE": "unsure", "ACCEPTED": "unsure"}
SHORT_COMMIT = 10


def load(folder: Path) -> dict[str, Any]:
    """Read `gate.json` of `folder`."""
    return load_result(folder / FILE, VERSION, needed=NEEDED)


def part(result: Mapping[str, Any]) -> Part:
    """Lay out a gate."""
    answer = result["answer"]
    sections = [
        Section("Must not change at all", ("Exact, and the same on every machine.",), _exact(result["deterministic"])),
        *_performance(result),
        environment_section(result["environment"], _facts(result)),
    ]
    reason = f"{result['reason'].rstrip('.')}."
    if result.get("settle"):
        reason += f" To settle it: {result['settle'].rstrip('.')}."
    title = f"Gate: {_commit(result['head'])} against {_commit(result['base'])}"
    source = f"{FILE} ({VERSION}); raw observations are in {OBSERVATIONS} beside it."
    return Part(title, answer, TONES[answer], reason, tuple(sections), source)


def metrics(result: Mapping[str, Any]) -> dict[str, Value]:
    """Return `gate/METRIC/head`, as it was measured, and `gate/METRIC/worse`, as the ratio to that gate's base."""
    found = {}
    for row in result["runs"][-1]["metrics"] if result["runs"] else ():
        if row["head_value"] is not None:
            better: Better = "higher" if row["kind"] == "throughput" else "lower"
            found[f"gate/{row['name']}/head"] = Value(row["head_value"], better)
        if row["median"] is not None:
            found[f"gate/{row['name']}/worse"] = Value(row["median"], "lower", row["low"], row["high"])
    return found


KIND = Kind("gate", 5, (FILE,), load, part, metrics)


def _performance(result: Mapping[str, Any]) -> list[Section]:
    runs = result["runs"]
    if not runs:
        why = result.get("performance_skipped") or "It was not run."
        return [Section("Performance", (why,))]
    sections = []
    drawn = forest(runs, result.get("aa_floor"))
    how = (
        "Base and head run in warm processes of their own, one at a time, in ABBA order. The unit is the round: the "
        "ratio of head to base within it, turned so that above 1 the head is worse. To FAIL, the whole interval must "
        "lie beyond the threshold, in this run and in a second, fresh one."
    )
    sections.append(Section("Performance", (how, *_floor(result.get("aa_floor"))), charts=(drawn,) if drawn else ()))
    for run in runs:
        title = "Ratios" if len(runs) == 1 else f"Ratios of run {run['number']}"
        chart = rounds(run)
        sections.append(Section(title, table=_metrics((*run["metrics"], *run["controls"]))))
        if chart:
            sections.append(Section(f"Raw rounds of run {run['number']}", charts=(chart,)))
    last = runs[-1]
    law = revisions("law", "Scaling", last["law"], "utterances per second")
    if law:
        sections.append(Section("Scaling", table=_laws(last["law"]), charts=(law,)))
    memory = revisions("memory", "Memory", last["memory"], "MiB over the process's own")
    if memory:
        sections.append(Section("Memory", table=_memory(last["memory"]), charts=(memory,)))
    if result.get("benchmarks"):
        notes = tuple(result["benchmarks"].get("notes", ()))
        sections.append(Section("pytest-benchmark", notes, _metrics(result["benchmarks"]["metrics"])))
    sections.append(Section("The machine meanwhile", table=_machine(runs), folded=True))
    return sections


def _exact(rows: Sequence[Mapping[str, Any]]) -> Table:
    fields = tuple(
        (
            Field(row["title"]), Field(row["answer"], TONES.get(row["answer"], "plain")),
            Field(str(row["head"] or "-")), Field(str(row["base"] or "-")), Field(row["rule"]),
            Field(row["detail"] or "-"),
        )
        for row in rows
    )  # fmt: skip
    return Table(("What", "Answer", "Head", "Base", "Rule", "Detail"), fields)


def _metrics(rows: Sequence[Mapping[str, Any]]) -> Table:
    heads = ("Metric", "Base", "Head", "Unit", "Times as bad", "95 % interval", "Threshold", "Rounds", "Answer", "Why")
    table = []
    for row in rows:
        spread = "-" if row["low"] is None or row["high"] is None else f"{row['low']:.3f} to {row['high']:.3f}"
        plain = numbers((_value(row["base_value"]), _value(row["head_value"])))
        judged = numbers((number(row["median"], 3), spread, number(row["threshold"], 2), str(row["rounds"])))
        answer = Field(row["answer"], TONES.get(row["answer"], "plain"))
        table.append((Field(row["title"]), *plain, Field(row["unit"] or ""), *judged, answer, Field(_why(row))))
    return Table(heads, tuple(table))


def _why(row: Mapping[str, Any]) -> str:
    """What the figures beside it do not say already: why an answer is open, or a threshold only the least one."""
    if row["answer"] == "INCONCLUSIVE":
        return str(row["reason"]).removeprefix(f"{row['title']}: ")
    return row.get("threshold_note") or "-"


def _laws(rows: Sequence[Mapping[str, Any]]) -> Table:
    heads = ("Subject", "Revision", "One worker", "Contention", "95 % interval", "Coherence", "95 % interval")
    table = tuple(
        (
            Field(row["subject"]), Field(row["revision"]),
            *numbers((
                number(row["rate"], 3),
                number(row["contention"], 4), _spread(row["contention_low"], row["contention_high"], 4),
                number(row["coherence"], 5), _spread(row["coherence_low"], row["coherence_high"], 5),
            )),
        )
        for row in rows
    )  # fmt: skip
    return Table(heads, table)


def _memory(rows: Sequence[Mapping[str, Any]]) -> Table:
    table = tuple(
        (
            Field(row["subject"]),
            Field(row["revision"]),
            *numbers((number(row["slope"], 2), _spread(row["low"], row["high"], 2))),
        )
        for row in rows
    )
    return Table(("Subject", "Revision", "MiB per worker", "95 % interval"), table)


def _machine(runs: Sequence[Mapping[str, Any]]) -> Table:
    rows = tuple(
        (Field(str(run["number"]), number=True), Field(name.replace("_", " ")), Field(_value(value), number=True))
        for run in runs
        for name, value in run["machine"].items()
    )
    return Table(("Run", "What", "Value"), rows)


def _floor(floor: Mapping[str, Any] | None) -> tuple[str, ...]:
    if not floor:
        return ()
    if not floor.get("floor"):
        return (f"Threshold: {floor.get('rule')}.",)
    source = f" Measured in {floor['source']}." if floor.get("source") else ""
    return (f"A/A floor, how far a revision strays from itself: {floor['floor']:.3f} ({floor.get('rule')}).{source}",)


def _facts(result: Mapping[str, Any]) -> dict[str, Any]:
    base, head = result["base"], result["head"]
    facts = {
        "base": f"{base['commit']} {base.get('subject', '')} ({base.get('note', '')})",
        "head": f"{head['commit']}{', with changes' if head.get('dirty') else ''} ({head.get('note', '')})",
    }
    if result.get("seconds"):
        facts["seconds"] = f"{result['seconds']:.0f}"
    return facts | {f"command: {name}": str(value) for name, value in result.get("command", {}).items()}


def _commit(revision: Mapping[str, Any]) -> str:
    return str(revision["commit"])[:SHORT_COMMIT] + ("-dirty" if revision.get("dirty") else "")


def _spread(low: float | None, high: float | None, digits: int) -> str:
    return "-" if low is None or high is None else f"{low:.{digits}f} to {high:.{digits}f}"


def _value(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
