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
    lines = [
        "# Calibration of the gate",
        "",
        f"{runs}, commit `{result['commit'][:12]}`, {where}, {result['seconds']:.0f} s, {environment['date']}.",
        "",
        result["method"],
        "",
        f"In {unfit} of these runs the machine was unfit (other programs, a moved control): they set no floor.",
        "",
        "| Condition | gates | FAIL | INCONCLUSIVE | PASS | share of FAIL (95 %) |",
        "|---|---|---|---|---|---|",
        *(_row(one["name"], one["gates"]) for one in result["conditions"]),
        "",
        "First runs alone, without the second one that a FAIL needs:",
        "",
        "| Condition | runs | FAIL | INCONCLUSIVE | PASS | share of FAIL (95 %) |",
        "|---|---|---|---|---|---|",
        *(_row(one["name"], one["first_runs"]) for one in result["conditions"]),
        "",
        "Resampled gates (rounds drawn again from the same blocks; more, but not independent, so without interval):",
        "",
        "| Condition | gates | FAIL | INCONCLUSIVE | PASS | share of FAIL |",
        "|---|---|---|---|---|---|",
        *(_row(one["name"], one["resampled"]) for one in result["conditions"]),
        "",
        "What each metric showed (median over all rounds, 95 % interval), and its A/A floor:",
        "",
        "| Metric | " + " | ".join(one["name"] for one in result["conditions"]) + " | floor |",
        "|---|" + "---|" * (len(result["conditions"]) + 1),
        *_metrics(result),
    ]
    return "\n".join(lines) + "\n"


def _row(name: str, counted: Mapping[str, Any]) -> str:
    share = "-" if counted["fail_share"] is None else f"{100 * counted['fail_share']:.1f} %"
    if counted.get("fail_low") is not None:
        share += f" ({100 * counted['fail_low']:.1f} to {100 * counted['fail_high']:.1f} %)"
    numbers = " | ".join(str(counted[key]) for key in ("gates", "fail", "inconclusive", "pass"))
    return f"| {name} | {numbers} | {share} |"


def _metrics(result: Mapping[str, Any]) -> list[str]:
    rows = []
    for place, one in enumerate(result["conditions"][0]["measured"]):
        cells = [_span(condition["measured"][place]) for condition in result["conditions"]]
        floor = change(result["aa_floor"].get(one["metric"]))
        rows.append(f"| {one['metric']} | {' | '.join(cells)} | {floor} |")
    return rows


def _span(measured: Mapping[str, Any]) -> str:
    return f"{change(measured['median'])} ({change(measured['low'])} to {change(measured['high'])})"
