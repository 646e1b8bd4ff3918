"""From what was saved to `gate.json`: checks, runs, answer."""

from __future__ import annotations

import math
import statistics
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from harness.observations.gate_store import GATE_VERSION
from harness.run.gate.commands import commands_of
from harness.run.gate.records import BASE, HEAD
from harness.verdict.gate.answers import EXIT_STATUS, Answer, Conclusion, Floor
from harness.verdict.gate.counts import check_command, check_counts, check_timed_bits, first_failure
from harness.verdict.gate.curves import memory_lines, scaling_curves
from harness.verdict.gate.judge import Judged, JudgedRun, conclude_runs, judge_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.observations.gate_store import GateObservations
    from harness.run.gate.records import Round
    from harness.verdict.gate.benchmarks import ComparedBenchmarks
    from harness.verdict.gate.counts import Check


@dataclass(frozen=True)
class GateVerdict:
    """Everything that was concluded."""

    checks: tuple[Check, ...]
    runs: tuple[JudgedRun, ...]
    conclusion: Conclusion


def checks_of(observations: GateObservations, accepted: Sequence[str]) -> tuple[Check, ...]:
    """Return the deterministic gates that can be judged by what is there."""
    by_revision = {one.revision: one for one in observations.counts}
    checks: list[Check] = []
    if BASE in by_revision and HEAD in by_revision:
        checks.extend(check_counts(by_revision[BASE], by_revision[HEAD], accepted))
    checks.extend(check_command(one) for one in observations.commands)
    if observations.rounds:
        checks.append(check_timed_bits(observations.rounds))
    return tuple(checks)


def compared_with_itself(facts: Mapping[str, Any]) -> Conclusion | None:
    """Say that nothing was compared, if base is head's own commit for want of another, and head has no change."""
    base, head = facts["base"], facts["head"]
    if head["dirty"] or not base.get("stands_in", False):
        return None
    return Conclusion(
        Answer.INCONCLUSIVE,
        f"nothing was compared: base and head are both {base['commit'][:12]} without changes ({base['note']})",
        "--base REV with an earlier revision; a clone that does not hold one gets it by git fetch --unshallow",
    )


def conclude(
    observations: GateObservations,
    floor: Floor,
    accepted: Sequence[str] = (),
    benchmarks: ComparedBenchmarks | None = None,
) -> GateVerdict:
    """Counts first; then rounds, then saved benchmarks; the first that fails, or else is undecided, is the answer.

    Where nothing was compared, only head's own counts can fail.
    """
    checks = checks_of(observations, accepted)
    numbers = sorted({one.run for one in observations.rounds})
    runs = tuple(judge_run([one for one in observations.rounds if one.run == number], floor) for number in numbers)
    failed = first_failure(checks)
    if failed is not None:
        detail = f" ({failed.detail})" if failed.detail else ""
        against = f", base {failed.base}" if failed.base is not None else ""
        reason = f"{failed.name}: {failed.head}{against}; it has to be {failed.rule}{detail}"
        return GateVerdict(checks, runs, Conclusion(Answer.FAIL, reason))
    itself = compared_with_itself(observations.facts)
    if itself is not None:
        return GateVerdict(checks, runs, itself)
    conclusions = [conclude_runs(runs)] if runs else []
    if benchmarks is not None:
        conclusions.append(benchmarks.conclusion)
    open_check = next((one for one in checks if one.answer is Answer.INCONCLUSIVE), None)
    if open_check is not None:
        reason = f"{open_check.name}: {open_check.head}" + (f" ({open_check.detail})" if open_check.detail else "")
        conclusions.append(Conclusion(Answer.INCONCLUSIVE, reason, _by_itself(open_check.name, observations.facts)))
    if not conclusions:
        conclusions.append(Conclusion(Answer.INCONCLUSIVE, "nothing was timed", "a run to the end"))
    for answer in (Answer.FAIL, Answer.INCONCLUSIVE):
        for one in conclusions:
            if one.answer is answer:
                return GateVerdict(checks, runs, one)
    reason = f"{len(checks)} deterministic gates hold; {conclusions[0].reason}"
    return GateVerdict(checks, runs, Conclusion(Answer.PASS, reason))


def gate_json(
    observations: GateObservations,
    verdict: GateVerdict,
    floor: Floor,
    seconds: float,
    benchmarks: ComparedBenchmarks | None = None,
) -> dict[str, Any]:
    """Return `gate.json`: everything a report needs."""
    skipped = "" if verdict.runs else f"not timed: {verdict.conclusion.reason}"
    return {
        "version": GATE_VERSION,
        "answer": verdict.conclusion.answer,
        "exit_status": EXIT_STATUS[verdict.conclusion.answer],
        "reason": verdict.conclusion.reason,
        "settle": verdict.conclusion.settle,
        **observations.facts,
        "seconds": round(seconds, 1),
        "deterministic": [asdict(check) for check in verdict.checks],
        "performance_run": bool(verdict.runs),
        "performance_skipped": skipped,
        "runs": [
            _run_json(run, [one for one in observations.rounds if one.run == run.number], floor) for run in verdict.runs
        ],
        "aa_floor": floor.as_json(),
        "benchmarks": None if benchmarks is None else benchmarks.as_json(),
    }


def judged_json(judged: Judged, floor: Floor) -> dict[str, Any]:
    """Return a metric, or a control, as plain data; logs become factors, what is not known becomes null."""
    samples = judged.samples
    unmeasured = floor.source is not None and samples.kind != "control" and samples.name not in floor.per_metric
    return {
        "name": samples.name,
        "title": samples.title,
        "kind": samples.kind,
        "subject": samples.subject,
        "workers": samples.workers,
        "unit": samples.unit,
        "base_value": _median(samples.base),
        "head_value": _median(samples.head),
        "median": math.exp(judged.median),
        "low": _factor(judged.low),
        "high": _factor(judged.high),
        "threshold": judged.threshold,
        "threshold_note": "no floor measured" if unmeasured else "",
        "rounds": len(samples.worse_log),
        "answer": judged.answer,
        "reason": judged.reason,
        "worse_log": list(samples.worse_log),
    }


def _run_json(run: JudgedRun, rounds: Sequence[Round], floor: Floor) -> dict[str, Any]:
    return {
        "number": run.number,
        "answer": run.conclusion.answer,
        "reason": run.conclusion.reason,
        "metrics": [judged_json(one, floor) for one in run.metrics],
        "controls": [judged_json(one, floor) for one in run.controls],
        "law": list(scaling_curves(rounds)),
        "memory": list(memory_lines(rounds)),
        "machine": asdict(run.machine),
        "rounds": [{**asdict(one), "order": [turn.revision for turn in one.turns]} for one in rounds],
    }


def _by_itself(name: str, facts: Mapping[str, Any]) -> str:
    """Return the command line of one of the harness's own commands, and what to do about what it says."""
    arguments = next(one.arguments for one in commands_of(short=facts["command"]["short"]) if one.name == name)
    return f"a mend of what python -m harness {' '.join(arguments)} --out reports/{name} says by itself"


def _factor(log: float) -> float | None:
    return math.exp(log) if math.isfinite(log) else None


def _median(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None
