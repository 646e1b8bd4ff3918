"""From a calibration's rounds to how often the gate cries wolf and how much it sees.

Every block of rounds comes from fresh processes, so a block is a run of the gate, and two blocks in a row are a gate
with its second run; no block is used twice. Each gate is judged with the A/A floor of all other blocks, so that none
vouches for itself. Gates put together from rounds drawn again are counted as well, apart and under that name: they are
more, but not independent, and get no interval.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import binomtest

from harness.observations.gate_store import CALIBRATION_VERSION
from harness.run.gate.injection import STAGE
from harness.verdict.bench.statistics import estimate
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.judge import (
    JudgedRun,
    conclude_metrics,
    conclude_runs,
    judge_control,
    judge_samples,
    machine_state,
    machine_unfit,
)
from harness.verdict.gate.samples import controls_of, metrics_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from harness.observations.gate_store import GateObservations
    from harness.run.gate.records import Round
    from harness.verdict.gate.samples import Samples

FLOOR_QUANTILE = 0.975
RESAMPLED_GATES = 100
GOAL = {"false_fail": 0.01, "power_20": 0.95}
METHOD = (
    "Base and head are the same commit. In every round head takes a turn at each slow-down, so that each is in an ABBA "
    "of its own with base. The slow-down is processor time burnt behind the vocoder, scaled so that a whole call takes "
    "that much longer alone. A block of rounds has fresh processes and is one run of the gate; two blocks in a row are "
    "one gate with its second run. Intervals of shares are Clopper-Pearson, 95 %."
)


class Block:
    """The rounds of one pair of processes, with their samples at every slow-down."""

    def __init__(self, rounds: Sequence[Round], shares: Sequence[float]) -> None:
        self.rounds = tuple(rounds)
        self.metrics = {share: metrics_of(rounds, share) for share in shares}
        self.controls = {share: controls_of(rounds, share) for share in shares}

    @property
    def fit(self) -> bool:
        """Whether the machine was: nothing is learnt about the gate from rounds that it would refuse to judge."""
        controls = tuple(judge_control(one) for one in self.controls[0.0])
        return machine_unfit(len(self.rounds), controls, machine_state(self.rounds)) is None

    def judged(self, share: float, floor: Floor, places: Sequence[int] | None = None) -> JudgedRun:
        """Judge this block as a run of the gate; `places` draws its rounds again."""
        chosen = list(range(len(self.rounds)) if places is None else places)
        metrics = tuple(judge_samples(_drawn(one, chosen), floor) for one in self.metrics[share])
        controls = tuple(judge_control(_drawn(one, chosen)) for one in self.controls[share])
        machine = machine_state([self.rounds[place] for place in chosen])
        conclusion = conclude_metrics(len(chosen), metrics, controls, machine)
        return JudgedRun(self.rounds[0].run, len(chosen), metrics, controls, machine, conclusion)


def calibration_json(
    observations: GateObservations, shares: Sequence[float], seconds: float, resampled: int = RESAMPLED_GATES
) -> dict[str, Any]:
    """Return `calibration.json`."""
    numbers = sorted({one.run for one in observations.rounds})
    wanted = observations.facts["command"]["rounds"]
    parts = [[one for one in observations.rounds if one.run == number] for number in numbers]
    # A block that was cut off is no run of the gate.
    blocks = [Block(rounds, shares) for rounds in parts if len(rounds) == wanted]
    return {
        "version": CALIBRATION_VERSION,
        **observations.facts,
        "commit": observations.facts["base"]["commit"],
        "rounds_per_gate": wanted,
        "blocks": len(blocks),
        "fit_blocks": sum(block.fit for block in blocks),
        "seconds": round(seconds, 1),
        "method": METHOD,
        "stage": STAGE,
        "conditions": [_condition(blocks, share, resampled) for share in shares],
        "aa_floor": floor_of(blocks).per_metric,
        "goal": GOAL,
    }


def floor_of(blocks: Sequence[Block], leaving_out: Collection[int] = ()) -> Floor:
    """Return how far the medians of runs that differ in nothing are from 1, as a factor, by metric.

    Blocks during which the machine was unfit count for nothing: a busy hour must not make the gate blind for good.
    """
    medians: dict[str, list[float]] = {}
    for place, block in enumerate(blocks):
        if place not in leaving_out and block.fit:
            for one in block.metrics[0.0]:
                medians.setdefault(one.name, []).append(abs(float(np.median(one.worse_log))))
    factors = {
        name: math.exp(float(np.quantile(values, FLOOR_QUANTILE, method="higher"))) for name, values in medians.items()
    }
    return Floor("this calibration", factors)


def share_of(count: int, total: int) -> dict[str, float | None]:
    """Return `count` of `total` as a share with its Clopper-Pearson 95 % interval."""
    if not total:
        return {"fail_share": None, "fail_low": None, "fail_high": None}
    found = binomtest(count, total).proportion_ci(confidence_level=0.95, method="exact")
    return {"fail_share": count / total, "fail_low": float(found.low), "fail_high": float(found.high)}


def _condition(blocks: Sequence[Block], share: float, resampled: int) -> dict[str, Any]:
    singles = [block.judged(share, floor_of(blocks, {place})) for place, block in enumerate(blocks)]
    pairs = [(place, place + 1) for place in range(0, len(blocks) - 1, 2)]
    gates = []
    for pair in pairs:
        floor = floor_of(blocks, pair)
        gates.append(conclude_runs([blocks[place].judged(share, floor) for place in pair]).answer)
    return {
        "name": "A/A" if share == 0 else f"+{100 * share:.0f} %",
        "injected": share,
        "rounds": sum(len(block.rounds) for block in blocks),
        "measured": _measured(blocks, share),
        "gates": _counted("consecutive", gates),
        "first_runs": _counted("consecutive", [one.conclusion.answer for one in singles]),
        "resampled": _resampled(blocks, share, resampled),
        "inconclusive_reasons": sorted(
            {one.conclusion.reason for one in singles if one.conclusion.answer is Answer.INCONCLUSIVE}
        ),
    }


def _measured(blocks: Sequence[Block], share: float) -> list[dict[str, Any]]:
    logs: dict[str, list[float]] = {}
    for block in blocks:
        for one in block.metrics[share]:
            logs.setdefault(one.name, []).extend(one.worse_log)
    found = []
    for name, values in logs.items():
        over_rounds = estimate(values)
        assert over_rounds is not None
        ends = {"low": over_rounds.low, "high": over_rounds.high}
        factors = {key: None if value is None else math.exp(value) for key, value in ends.items()}
        found.append({"metric": name, "median": math.exp(over_rounds.median), **factors})
    return found


def _counted(kind: str, answers: Sequence[Answer]) -> dict[str, Any]:
    fail = sum(answer is Answer.FAIL for answer in answers)
    return {
        "kind": kind,
        "gates": len(answers),
        "fail": fail,
        "inconclusive": sum(answer is Answer.INCONCLUSIVE for answer in answers),
        "pass": sum(answer is Answer.PASS for answer in answers),
        **share_of(fail, len(answers)),
    }


def _resampled(blocks: Sequence[Block], share: float, gates: int) -> dict[str, Any]:
    """Draw two blocks, and from each as many of its rounds as it has; a block may be drawn again and again."""
    answers: list[Answer] = []
    if len(blocks) > 1:
        generator = np.random.default_rng(0)
        floor = floor_of(blocks)
        for _ in range(gates):
            runs = []
            for place in generator.choice(len(blocks), 2, replace=False):
                count = len(blocks[place].rounds)
                runs.append(blocks[place].judged(share, floor, generator.integers(0, count, count).tolist()))
                if runs[0].conclusion.answer is not Answer.FAIL:
                    break
            answers.append(conclude_runs(runs).answer)
    counted = _counted("resampled", answers)
    return {name: value for name, value in counted.items() if name not in {"fail_low", "fail_high"}}


def _drawn(samples: Samples, places: Sequence[int]) -> Samples:
    return replace(samples, worse_log=tuple(samples.worse_log[place] for place in places))
