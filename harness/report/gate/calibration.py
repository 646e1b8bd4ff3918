"""A calibration as markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from harness.report.gate.text import change

if TYPE_CHECKING:
    from collections.abc import Mapping


def calibration_markdown(result: Mapping[str, Any]) -> str:
    """Return `calibration.md`."""
    environment = result["environment"]
    kind = "short gate" if result["command"]["short"] else "full gate"
    runs = f"{kind}, {result['blocks']} runs of {result['rounds_per_gate']} rounds in fresh processes"
    where = f"{environment['cpu']}, {environment['cores']} cores"
    unfit = result["blocks"] - result["fit_blocks"]
    heads = [one["name"] for one in result["conditions"]]
    lines = [
        "# Calibration of the gate",
        "",
        f"{runs}, commit `{result['commit'][:12]}`, {where}, {result['seconds']:.0f} s, {environment['date']}.",
        "",
        result["method"],
        "",
        f"In {unfit} of these runs the machine was unfit (other programs, a moved control): they set no floor.",
    ]
    for way in ("gates", "first_runs", "both_ways", "all_pairs"):
        lines += [
            "",
            result["ways"][way],
            "",
            "| Condition | number | FAIL | INCONCLUSIVE | PASS | share of FAIL (95 % interval) |",
            "|---|---|---|---|---|---|",
            *(_row(one["name"], one[way]) for one in result["conditions"] if one[way] is not None),
        ]
    lines += [
        "",
        result["ways"]["if_independent"],
        "",
        "| Condition | FAIL at least | FAIL at most |",
        "|---|---|---|",
        *(_bound(one["name"], one["if_independent"]) for one in result["conditions"]),
        "",
        "What each metric showed (median over all rounds, 95 % interval; runs that failed by it), and its A/A floor:",
        "",
        "| Metric | " + " | ".join(heads) + " | floor |",
        "|---|" + "---|" * (len(heads) + 1),
        *_metrics(result),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, counted: Mapping[str, Any]) -> str:
    share = "-" if counted["fail_share"] is None else f"{100 * counted['fail_share']:.1f} %"
    if counted.get("fail_low") is not None:
        share += f" ({100 * counted['fail_low']:.1f} to {100 * counted['fail_high']:.1f} %)"
    numbers = " | ".join(str(counted[key]) for key in ("gates", "fail", "inconclusive", "pass"))
    return f"| {name} | {numbers} | {share} |"


def _bound(name: str, bound: Mapping[str, float | None]) -> str:
    ends = (bound["at_least"], bound["at_most"])
    low, high = ("-" if end is None else f"{100 * end:.2f} %" for end in ends)
    return f"| {name} | {low} | {high} |"


def _metrics(result: Mapping[str, Any]) -> list[str]:
    by_condition = [{row["metric"]: row for row in condition["measured"]} for condition in result["conditions"]]
    rows = []
    for metric in by_condition[0]:
        cells = [_span(measured.get(metric)) for measured in by_condition]
        rows.append(f"| {metric} | {' | '.join(cells)} | {change(result['aa_floor'].get(metric))} |")
    return rows


def _span(measured: Mapping[str, Any] | None) -> str:
    if measured is None:
        return "-"
    span = f"{change(measured['median'])} ({change(measured['low'])} to {change(measured['high'])})"
    return f"{span}; {measured['failed_runs']}"
