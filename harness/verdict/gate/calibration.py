"""From a calibration's rounds to how often the gate cries wolf and how much it sees.

Every block of rounds comes from fresh processes, so a block is a run of the gate, and two blocks are a gate with its
second run. Each gate is judged with the A/A floor of all other blocks, so that none vouches for itself.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.observations.gate_store import CALIBRATION_VERSION
from harness.run.gate.injection import STAGE
from harness.verdict.bench.statistics import estimate
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.judge import (
    JudgedRun,
    conclude_metrics,
    conclude_runs,
    failed,
    judge_control,
    judge_samples,
    machine_state,
    machine_unfit,
)
from harness.verdict.gate.rates import bound_if_independent, count, count_pairs
from harness.verdict.gate.samples import controls_of, metrics_of

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from harness.observations.gate_store import GateObservations
    from harness.run.gate.records import Round

FLOOR_QUANTILE = 0.975
# Chosen before anything was measured: the slow-down is processor time, and one worker's has the least noise.
NAMED_METRIC = "cpu/stateless/1"
GOAL = {"false_fail": 0.01, "power_20": 0.95}
METHOD = (
    "Base and head are the same commit. In every round head takes a turn at each slow-down of its block, so that each "
    "is next to base in AB, BA order. The slow-down is processor time burnt behind the vocoder, scaled so that a whole "
    "call takes that much longer alone. A block of rounds has fresh processes and is one run of the gate, judged with "
    "the A/A floor of the blocks that it is not made of."
)
WAYS = {
    "gates": (
        "Whole gates: blocks 1 and 2, 3 and 4, and so on; no block is used twice. Counted, with Clopper-Pearson 95 % "
        "intervals."
    ),
    "first_runs": "First runs alone, each block once, without the second run that a FAIL needs. Clopper-Pearson 95 %.",
    "both_ways": (
        "First runs at A/A, each block once more with base and head exchanged: they are equal, so which is called head "
        "is a matter of names. No metric can look worse both ways; Clopper-Pearson 95 %, which takes the two ways for "
        "independent."
    ),
    "all_pairs": (
        "All ordered pairs of different blocks. They share blocks, so the interval is a bootstrap over blocks, and "
        "there is none where all pairs agree."
    ),
    "if_independent": (
        "A model, not a count: if a gate's two runs are independent, it says FAIL at most as often as the square of "
        "the first runs' upper end (at A/A: that of both ways), and at least as often as the square of the lower end "
        f"of how often {NAMED_METRIC} makes a run fail (a metric chosen before measuring)."
    ),
}


class Block:
    """The rounds of one pair of processes, with their samples at every slow-down that they took turns at."""

    def __init__(self, rounds: Sequence[Round]) -> None:
        self.rounds = tuple(rounds)
        shares = sorted({turn.injected for turn in rounds[0].turns})
        self.metrics = {share: metrics_of(rounds, share) for share in shares}
        self.controls = {share: controls_of(rounds, share) for share in shares}

    @cached_property
    def fit(self) -> bool:
        """Whether the machine was: nothing is learnt about the gate from rounds that it would refuse to judge."""
        controls = tuple(judge_control(one) for one in self.controls[0.0])
        return machine_unfit(len(self.rounds), controls, machine_state(self.rounds)) is None

    @cached_property
    def strays(self) -> dict[str, float]:
        """How far each metric's median is from no difference between equal revisions: the size of its log."""
        return {one.name: abs(float(np.median(one.worse_log))) for one in self.metrics[0.0]}

    def judged(self, share: float, floor: Floor, *, exchanged: bool = False) -> JudgedRun:
        """Judge this block as a run of the gate; `exchanged` calls base head and head base."""
        samples = self.metrics[share]
        if exchanged:
            samples = tuple(replace(one, worse_log=tuple(-log for log in one.worse_log)) for one in samples)
        metrics = tuple(judge_samples(one, floor) for one in samples)
        controls = tuple(judge_control(one) for one in self.controls[share])
        machine = machine_state(self.rounds)
        conclusion = conclude_metrics(len(self.rounds), metrics, controls, machine)
        return JudgedRun(self.rounds[0].run, len(self.rounds), metrics, controls, machine, conclusion)


def calibration_json(observations: GateObservations, seconds: float) -> dict[str, Any]:
    """Return `calibration.json`."""
    numbers = sorted({one.run for one in observations.rounds})
    wanted = observations.facts["command"]["rounds"]
    parts = [[one for one in observations.rounds if one.run == number] for number in numbers]
    # A block that was cut off is no run of the gate.
    blocks = [Block(rounds) for rounds in parts if len(rounds) == wanted]
    shares = sorted({share for block in blocks for share in block.metrics})
    return {
        "version": CALIBRATION_VERSION,
        **observations.facts,
        "commit": observations.facts["base"]["commit"],
        "rounds_per_gate": wanted,
        "blocks": len(blocks),
        "fit_blocks": sum(block.fit for block in blocks),
        "seconds": round(seconds, 1),
        "method": METHOD,
        "ways": WAYS,
        "stage": STAGE,
        "conditions": [_condition(blocks, share) for share in shares],
        "aa_floor": floor_of(blocks).per_metric,
        "goal": GOAL,
    }


def floor_of(blocks: Sequence[Block], leaving_out: Collection[Block] = ()) -> Floor:
    """Return how far the medians of runs that differ in nothing are from 1, as a factor, by metric.

    Blocks during which the machine was unfit count for nothing: a busy hour must not make the gate blind for good.
    """
    medians: dict[str, list[float]] = {}
    for block in blocks:
        if block not in leaving_out and block.fit:
            for name, stray in block.strays.items():
                medians.setdefault(name, []).append(stray)
    factors = {
        name: math.exp(float(np.quantile(values, FLOOR_QUANTILE, method="higher"))) for name, values in medians.items()
    }
    return Floor("this calibration", factors)


def _condition(blocks: Sequence[Block], share: float) -> dict[str, Any]:
    measured = [block for block in blocks if share in block.metrics]
    runs = [block.judged(share, floor_of(blocks, (block,))) for block in measured]
    failed = [_failed_by(run) for run in runs]

    def gate(first: int, second: int) -> Answer:
        pair = (measured[first], measured[second])
        floor = floor_of(blocks, pair)
        return conclude_runs([block.judged(share, floor) for block in pair]).answer

    answers = [run.conclusion.answer for run in runs]
    first_runs = count(answers)
    # Equal revisions alone can change their names.
    both_ways = None if share else count([*answers, *(_exchanged(blocks, block) for block in measured)])
    named = count([Answer.FAIL if NAMED_METRIC in names else Answer.PASS for names in failed])
    return {
        "name": "A/A" if share == 0 else f"+{100 * share:.0f} %",
        "injected": share,
        "rounds": sum(len(block.rounds) for block in measured),
        "measured": _measured(measured, share, Counter(name for names in failed for name in names)),
        "gates": count([gate(place, place + 1) for place in range(0, len(measured) - 1, 2)]),
        "first_runs": first_runs,
        "both_ways": both_ways,
        "all_pairs": count_pairs(len(measured), gate),
        "if_independent": bound_if_independent(both_ways or first_runs, named),
        "inconclusive_reasons": sorted(
            {run.conclusion.reason for run in runs if run.conclusion.answer is Answer.INCONCLUSIVE}
        ),
    }


def _exchanged(blocks: Sequence[Block], block: Block) -> Answer:
    return block.judged(0.0, floor_of(blocks, (block,)), exchanged=True).conclusion.answer


def _failed_by(run: JudgedRun) -> list[str]:
    """Return the metrics that made `run` fail; none if it did not, such as on a machine that was unfit."""
    if run.conclusion.answer is not Answer.FAIL:
        return []
    return [one.samples.name for one in failed(run.metrics, run.controls)]


def _measured(blocks: Sequence[Block], share: float, failed: Counter[str]) -> list[dict[str, Any]]:
    """Return what each metric showed over all rounds, and how many runs failed by it."""
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
        found.append({"metric": name, "median": math.exp(over_rounds.median), **factors, "failed_runs": failed[name]})
    return found
