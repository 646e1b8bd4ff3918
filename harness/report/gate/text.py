"""A gate in plain text, for the terminal: a line for each gate, a line for each metric, the answer last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.plain_text import aligned

if TYPE_CHECKING:
    from collections.abc import Mapping


def gate_lines(result: Mapping[str, Any]) -> list[str]:
    """Return what was compared, the deterministic gates, the metrics of every run, and the answer."""
    base, head = result["base"], result["head"]
    dirty = " with uncommitted changes" if head["dirty"] else ""
    compared = f"{head['commit'][:12]}{dirty} against {base['commit'][:12]} ({base['note']})"
    rows = [(check["name"], check["answer"], check["head"], against(check)) for check in result["deterministic"]]
    lines = [compared, ""]
    lines += aligned([("gate", "answer", "head", "base"), *rows]) if rows else []
    for run in result["runs"]:
        metrics = [*run["controls"], *run["metrics"]]
        lines += ["", f"run {run['number']}: {run['answer']}, {run['reason']}"]
        lines += aligned([("metric", "answer", "worse by", "95 % interval", "limit"), *map(_row, metrics)])
    if result["benchmarks"]:
        lines += ["", *aligned([("benchmark", "answer", "worse by", "95 % interval", "limit")] + [
            _row(one) for one in result["benchmarks"]["metrics"]
        ])]  # fmt: skip
        lines += result["benchmarks"]["notes"]
    if not result["performance_run"]:
        lines += ["", result["performance_skipped"]]
    if result["runs"]:
        lines += ["", f"Limits: {result['aa_floor']['rule']}"]
    lines += ["", f"{result['answer']}: {result['reason']}"]
    if result["settle"]:
        lines.append(f"What would settle it: {result['settle']}")
    return lines


def against(check: Mapping[str, Any]) -> str:
    """Return what was seen of base, or the rule where there is no base."""
    return str(check["base"]) if check["base"] is not None else f"({check['rule']})"


def change(factor: float | None) -> str:
    """Write how many times worse as per cent; `-` if it is not known."""
    return "-" if factor is None else f"{100 * (factor - 1):+.1f} %"


def interval(metric: Mapping[str, Any]) -> str:
    """Write the two ends of an interval."""
    return f"{change(metric['low'])} to {change(metric['high'])}"


def limit(metric: Mapping[str, Any]) -> str:
    """Write what a metric has to be beyond, and whether that is short of a measured floor."""
    note = metric["threshold_note"]
    return f"{change(metric['threshold'])}{', ' if note else ''}{note}"


def _row(metric: Mapping[str, Any]) -> tuple[str, ...]:
    name = metric["title"] if metric["kind"] == "control" else metric["name"]
    return name, metric["answer"], change(metric["median"]), interval(metric), limit(metric)
