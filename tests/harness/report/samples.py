"""Saved results of every kind, small and made by hand, as the commands would have left them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from harness.audit.result import AuditResult, JudgedDraw, JudgedWrite, StressSummary
from harness.verdict.bench.result import judge_bench
from harness.verdict.judge import Control
from harness.verdict.saved import save_result
from harness.verdict.stress_result import judge_stress
from tests.harness import bench_toys

if TYPE_CHECKING:
    from pathlib import Path

ENVIRONMENT: dict[str, Any] = {
    "cpu": "<b>odd & ends</b>",
    "cores": 2,
    "memory_gib": 8.0,
    "versions": {"python": "3"},
    "commit": "a" * 40,
    "date": "2026-01-02T03:04:05+00:00",
}


def stress_result() -> dict[str, Any]:
    """Return what a run concludes that caught a toy with shared conditionals."""
    from tests.harness import toys  # torch, which the other kinds do without

    caught, clean = toys.observe(toys.shared_conditionals()), toys.observe(toys.clean())
    both = type(clean)({**caught.references, **clean.references}, (*caught.cells, *clean.cells))
    return judge_stress(both, sample_rate=24000, control=Control(3, 3), facts={"environment": ENVIRONMENT})


def save_stress(folder: Path) -> Path:
    return save_result(stress_result(), folder / "stress.json")


def save_bench(folder: Path) -> Path:
    return save_result(judge_bench(bench_toys.observations()), folder / "bench.json")


def audit_result(subject: str = "upstream-shared") -> AuditResult:
    """Return an audit that found one harmful and one undecided write and two draws."""
    remedies = ({"name": "lock", "result": "holds", "evidence": ""},)
    return AuditResult(
        subject,
        "UNSAFE",
        "model.conds is written by one call and changes another call's output",
        writes=(
            JudgedWrite("model.cache", "container item", "b.py:2", None, "undecided: no time", paths=("a", "b", "c")),
            JudgedWrite("model.conds", "attribute rebinding", "a.py:1", True, "an output changed", remedies=remedies),
        ),
        draws=(
            JudgedDraw("aten::randn", "process-wide torch.default_generator", "c.py:3", True, "changes"),
            JudgedDraw("aten::rand", "own", "d.py:4"),
        ),
        guarded=({"path": "einops.cache", "location": "e.py:5", "guard": "its own consistency"},),
        stress=StressSummary(8, 10, 7, "its output has another shape"),
        facts={"requests": 3, "environment": ENVIRONMENT},
    )


def save_audit(folder: Path, subject: str = "upstream-shared") -> Path:
    return audit_result(subject).save(folder)


def hazards_result(*, stateless_fails: int = 0) -> dict[str, Any]:
    """Return one hazard that is shown and one that is refuted; the first may fail on `stateless_tts` too."""
    trial = {"trials": 3, "failed": 3, "evidence": "values differ", "trace": [], "slowest_s": 1.25}
    common = {"title": "A place", "upstream": "any 1.0", "place": "a.py:1", "effect": "mixes", "remedy": "", "note": ""}
    ours = {**trial, "failed": stateless_fails}
    shown = {"id": "one", "row": 1, **common, "status": "shown", "stock": trial, "stateless": ours, "why_not": ""}
    never = {**trial, "failed": 0}
    refuted = {"id": "two", "row": 2, **common, "status": "refuted", "stock": never, "stateless": None}
    rows = [shown, {**refuted, "why_not": "nothing to mend"}]
    return {"version": "hazards/1", "environment": ENVIRONMENT, "hazards": rows}


def save_hazards(folder: Path, *, stateless_fails: int = 0) -> Path:
    return save_result(hazards_result(stateless_fails=stateless_fails), folder / "hazards.json")


def power_result(*, caught: int | None = 1, alarms: int = 0) -> dict[str, Any]:
    """Return the power of two detectors over one fault."""
    fault = {
        "fault": "shared-voice", "hazard": "one", "wrong": "It is shared.", "runs": 4, "seconds": 1.0,
        "caught_at_run": {"concurrent": caught, "after": None}, "said": {"concurrent": "value", "after": ""},
    }  # fmt: skip
    clean = {"runs": 200, "false_alarms": {"concurrent": alarms}, "alarms": ["run 7"] * alarms}
    detectors = ["concurrent", "after"]
    return {
        "version": "power/1", "environment": ENVIRONMENT, "threads": 3, "detectors": detectors, "faults": [fault],
        "clean": clean,
    }  # fmt: skip


def save_power(folder: Path, *, caught: int | None = 1, alarms: int = 0) -> Path:
    return save_result(power_result(caught=caught, alarms=alarms), folder / "power.json")


def gate_metric(name: str, logs: list[float], *, kind: str = "throughput", answer: str = "PASS") -> dict[str, Any]:
    """Return a metric whose rounds were `logs`; its interval is as wide as they are."""
    factors = sorted(math.exp(value) for value in logs)
    return {
        "name": name, "title": f"{name} <&>", "kind": kind, "subject": "stateless", "workers": 4,
        "unit": "utterances/s", "base_value": 12.0, "head_value": 11.9,
        "median": factors[len(factors) // 2], "low": factors[0],
        "high": factors[-1], "threshold": 1.05, "threshold_note": "",
        "rounds": len(logs), "answer": answer, "reason": "", "worse_log": logs,
    }  # fmt: skip


def gate_run(number: int = 1, *, worse: float = 0.0, answer: str = "PASS") -> dict[str, Any]:
    """Return a run of four rounds in which throughput got worse by `worse`, on a log scale."""
    unrest = (0.01, -0.02, 0.005, 0.0)
    curve = {"rate": 5.0, "contention": 0.4, "coherence": 0.0}
    spread = {"contention_low": 0.38, "contention_high": 0.45, "coherence_low": 0.0, "coherence_high": 0.001}
    law = [
        {"subject": "stateless", "revision": name, **curve, **spread, "points": [[1, 5.0], [4, 8.8], [16, 9.1]]}
        for name in ("base", "head")
    ]
    memory = [
        {
            "subject": "stateless",
            "revision": name,
            "slope": 3.1,
            "low": 2.9,
            "high": 3.3,
            "points": [[1, 5.0], [4, 14.0]],
        }
        for name in ("base", "head")
    ]
    metrics = [
        gate_metric(f"throughput/stateless/{workers}", [worse + value for value in unrest], answer=answer)
        for workers in (1, 4, 16)
    ]
    cpu = gate_metric("cpu/stateless/4", list(unrest), kind="cpu")
    controls = [gate_metric(f"control/{name}", list(unrest), kind="control") for name in ("memory", "arithmetic")]
    machine = {"foreign_share_median": 0.01, "clock_jump_s": 0.0, "loaded_rounds": 0}
    return {
        "number": number, "answer": answer, "metrics": [*metrics, cpu], "controls": controls, "law": law,
        "memory": memory, "machine": machine, "rounds": [],
    }  # fmt: skip


def gate_result(answer: str = "PASS", runs: tuple[dict[str, Any], ...] | None = None) -> dict[str, Any]:
    """Return a gate with a check of each answer; without `runs`, one run in which nothing changed."""
    checks = (("bits-alone", "PASS"), ("tensor-ops", "ACCEPTED"), ("stress", "INCONCLUSIVE"))
    exact = [
        {"name": name, "title": name, "answer": word, "head": "4 of 4", "base": None, "rule": "all", "detail": ""}
        for name, word in checks
    ]
    return {
        "version": "gate/1", "answer": answer, "exit_status": 0, "reason": "nothing got worse", "settle": "",
        "environment": ENVIRONMENT, "command": {"rounds": 4, "workers": [1, 4, 16]}, "seconds": 214.3,
        "base": {"asked": None, "commit": "b" * 40, "subject": "Say <hello>", "note": "merge base with main"},
        "head": {"commit": "a" * 40, "dirty": True, "note": "the working tree"},
        "deterministic": exact, "performance_run": runs != (),
        "performance_skipped": "" if runs != () else "bits differ",
        "runs": [gate_run()] if runs is None else list(runs),
        "aa_floor": {"source": None, "floor": 1.05, "rule": "5 % at least", "per_metric": {"cpu/stateless/4": 1.03}},
        "benchmarks": None,
    }  # fmt: skip


def save_gate(folder: Path, answer: str = "PASS", runs: tuple[dict[str, Any], ...] | None = None) -> Path:
    return save_result(gate_result(answer, runs), folder / "gate.json")


def calibration_counts(gates: int, fail: int, low: float, high: float) -> dict[str, Any]:
    return {
        "gates": gates, "fail": fail, "inconclusive": 0, "pass": gates - fail,
        "fail_share": fail / gates, "fail_low": low, "fail_high": high,
    }  # fmt: skip


def calibration_result(
    same: tuple[int, int, float, float] = (7, 0, 0.0, 0.41), slow: tuple[int, int, float, float] = (7, 7, 0.59, 1.0)
) -> dict[str, Any]:
    """Return a calibration whose gates, failures and interval are given for A/A and for 20 % injected."""
    conditions = [
        {
            "name": name, "injected": injected, "rounds": 112, "gates": calibration_counts(*counts),
            "measured": [{"metric": "throughput/stateless/4", "median": 1 + injected, "low": 0.99, "high": 1.3,
                          "failed_runs": 3}],
            "first_runs": calibration_counts(*counts),
            "both_ways": None if injected else calibration_counts(*counts),
            "all_pairs": {"gates": 182, "fail": 0, "inconclusive": 1, "pass": 181, "fail_share": 0.0,
                          "fail_low": None, "fail_high": None},
            "if_independent": {"at_least": 0.0, "at_most": 0.1681},
        }
        for name, injected, counts in (("A/A", 0.0, same), ("+20 %", 0.2, slow))
    ]  # fmt: skip
    return {
        "version": "gate-calibration/2", "environment": ENVIRONMENT, "commit": "a" * 40, "rounds_per_gate": 8,
        "blocks": 14, "seconds": 1190.0, "method": "Blocks in turn.",
        "ways": {
            way: f"Counted by {way}." for way in ("gates", "first_runs", "both_ways", "all_pairs", "if_independent")
        },
        "stage": "vocoder", "conditions": conditions,
        "aa_floor": {"throughput/stateless/4": 1.031}, "goal": {"false_fail": 0.01, "power_20": 0.95},
    }  # fmt: skip


def save_calibration(folder: Path) -> Path:
    return save_result(calibration_result(), folder / "calibration.json")
