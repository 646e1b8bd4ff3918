"""A gate as markdown that fits a pull request: the answer, then tables, the long ones folded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.gate.text import against, change, interval, limit

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# Not shown: by it CI finds the comment that the next summary goes into.
MARKER = "<!-- harness gate -->"
MARK = {"PASS": "✅", "FAIL": "❌", "INCONCLUSIVE": "❔"}


def gate_markdown(result: Mapping[str, Any]) -> str:
    """Return `gate.md`."""
    base, head = result["base"], result["head"]
    dirty = " with uncommitted changes" if head["dirty"] else ""
    what = f"`{head['commit'][:12]}`{dirty} against `{base['commit'][:12]}` ({_cell(base['note'])})"
    where = f"{_cell(result['environment']['cpu'])}, {result['environment']['cores']} cores"
    lines = [f"## {MARK[result['answer']]} Gate: {result['answer']}", "", f"**{_cell(result['reason'])}**", ""]
    if result["settle"]:
        lines += [f"What would settle it: {_cell(result['settle'])}", ""]
    lines += [
        f"{what}, {result['command']['rounds']} rounds a run, {result['seconds']:.0f} s, {where}.",
        "",
        "| Deterministic gate | | head | base |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {check['title']} | {check['answer']} | {_cell(check['head'])} | {_cell(against(check))} |"
        for check in result["deterministic"]
    ]
    for run in result["runs"]:
        lines += ["", f"### Run {run['number']}: {run['answer']}", "", *_metrics([*run["controls"], *run["metrics"]])]
        lines += ["", *_curves(run)]
    if result["benchmarks"]:
        lines += ["", "### Saved benchmarks", "", *_metrics(result["benchmarks"]["metrics"])]
        lines += [line for note in result["benchmarks"]["notes"] for line in ("", f"{_cell(note)}.")]
    if not result["performance_run"]:
        lines += ["", _cell(result["performance_skipped"])]
    lines += ["", _footnote(result), "", MARKER]
    return "\n".join(lines) + "\n"


def _metrics(metrics: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [
        f"| {_cell(one['title'])} | {one['answer']} | {_plain(one['base_value'])} | {_plain(one['head_value'])} | "
        f"{change(one['median'])} | {interval(one)} | {limit(one)} |"
        for one in metrics
    ]
    return ["| Metric | | base | head | worse by | 95 % interval | limit |", "|---|---|---|---|---|---|---|", *rows]


def _curves(run: Mapping[str, Any]) -> list[str]:
    lines = ["<details><summary>Scaling law and memory</summary>", ""]
    lines += ["| Revision | rate | contention | coherence |", "|---|---|---|---|"]
    lines += [
        f"| {law['revision']} | {law['rate']:.2f} | {law['contention']:.3f} ({law['contention_low']:.3f} to "
        f"{law['contention_high']:.3f}) | {law['coherence']:.4f} ({law['coherence_low']:.4f} to "
        f"{law['coherence_high']:.4f}) |"
        for law in run["law"]
    ]
    lines += ["", "| Revision | MiB per further worker |", "|---|---|"]
    lines += [
        f"| {line['revision']} | {line['slope']:.2f} ({_plain(line['low'])} to {_plain(line['high'])}) |"
        for line in run["memory"]
    ]
    return [*lines, "", "</details>"]


def _footnote(result: Mapping[str, Any]) -> str:
    floor = result["aa_floor"]
    return (
        "Worse by: median over rounds of base and head taking turns, with a bootstrap interval. FAIL needs the whole "
        f"interval beyond the limit ({floor['rule']}), twice, in fresh processes."
    )


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
