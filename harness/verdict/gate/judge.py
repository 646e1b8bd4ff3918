"""From samples to an interval, from intervals to one run's answer, and from runs to the gate's."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from harness.verdict.bench.statistics import estimate
from harness.verdict.gate.answers import (
    CLOCK_TOLERANCE_S,
    CONTROL_TOLERANCE,
    LOADED_SHARE,
    MOST_LOADED,
    PROMISED,
    Answer,
    Conclusion,
    Floor,
    percent_worse,
)
from harness.verdict.gate.samples import controls_of, metrics_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.run.gate.records import Round
    from harness.verdict.gate.samples import Samples

LEAST_ROUNDS = 8
# Fewer do not show how throughput scales.
LEAST_WORKERS_OF_LAW = 4
# Metrics that a reason names one by one.
MOST_NAMED = 3


@dataclass(frozen=True)
class Judged:
    """A metric, or a control, and what its interval says.

    Attributes:
        samples: what it was judged by.
        median: log of how many times worse head is; over the rounds.
        low: lower end of the bootstrap 95 % interval.
        high: upper end.
        threshold: factor beyond which it is worse.
        answer: for this metric and run alone.
        reason: in words, unless it passed.
    """

    samples: Samples
    median: float
    low: float
    high: float
    threshold: float
    answer: Answer
    reason: str


@dataclass(frozen=True)
class MachineState:
    """What went on around the rounds.

    Attributes:
        foreign_share_median: other programs' share of the cores; None where the system does not tell.
        foreign_share_max: in the worst round.
        loaded_rounds: rounds with too much of it.
        clock_jump_s: the largest disagreement of the clocks.
    """

    foreign_share_median: float | None
    foreign_share_max: float | None
    loaded_rounds: int
    clock_jump_s: float


@dataclass(frozen=True)
class JudgedRun:
    """One run of fresh processes, judged."""

    number: int
    rounds: int
    metrics: tuple[Judged, ...]
    controls: tuple[Judged, ...]
    machine: MachineState
    conclusion: Conclusion


def judge_run(rounds: Sequence[Round], floor: Floor) -> JudgedRun:
    """Judge the rounds of one run."""
    metrics = tuple(judge_samples(one, floor) for one in metrics_of(rounds))
    controls = tuple(judge_control(one) for one in controls_of(rounds))
    machine = machine_state(rounds)
    conclusion = conclude_metrics(len(rounds), metrics, controls, machine)
    return JudgedRun(rounds[0].run if rounds else 1, len(rounds), metrics, controls, machine, conclusion)


def judge_samples(samples: Samples, floor: Floor) -> Judged:
    """Worse if the whole interval is beyond the threshold; undecided if it begins before that and ends far beyond."""
    median, low, high = _interval(samples.worse_log)
    threshold = floor.threshold(samples.name)
    beyond, promised = math.log(threshold), math.log(max(PROMISED, threshold))
    span = f"{percent_worse(median)} (95 % interval {percent_worse(low)} to {percent_worse(high)})"
    answer, reason = Answer.PASS, ""
    if low > beyond:
        answer = Answer.FAIL
        reason = f"{samples.title}: {span} worse, all of it beyond {percent_worse(beyond)}"
    # The law is made of throughputs that are judged themselves: where those are sure, its own spread decides nothing.
    elif high > promised and samples.kind != "law":
        answer = Answer.INCONCLUSIVE
        least = "no change" if low <= 0 else f"less than {percent_worse(beyond)}"
        reason = f"{samples.title}: {span} holds both {least} and more than {percent_worse(promised)}"
    return Judged(samples, median, low, high, threshold, answer, reason)


def judge_control(samples: Samples) -> Judged:
    """The same code ran in both processes: if its ratio is off, or unknown, the machine decided the others too."""
    median, low, high = _interval(samples.worse_log)
    tolerance = math.log(CONTROL_TOLERANCE)
    answer, reason = Answer.PASS, ""
    if abs(median) > tolerance:
        answer, reason = Answer.INCONCLUSIVE, f"the {samples.title} moved by {percent_worse(median)} between processes"
    elif (high - low) / 2 > 2 * tolerance:
        span = f"{percent_worse(low)} to {percent_worse(high)}"
        answer, reason = Answer.INCONCLUSIVE, f"the {samples.title} is only known to lie between {span}"
    return Judged(samples, median, low, high, CONTROL_TOLERANCE, answer, reason)


def machine_state(rounds: Sequence[Round]) -> MachineState:
    """Sum up what other programs and clocks did."""
    shares = []
    for one in rounds:
        known = [turn.foreign_share for turn in one.turns if turn.foreign_share is not None]
        if known:
            shares.append(statistics.fmean(known))
    return MachineState(
        foreign_share_median=statistics.median(shares) if shares else None,
        foreign_share_max=max(shares, default=None),
        loaded_rounds=sum(share > LOADED_SHARE for share in shares),
        clock_jump_s=max((one.clock_jump_s for one in rounds), key=abs, default=0.0),
    )


def conclude_runs(runs: Sequence[JudgedRun]) -> Conclusion:
    """FAIL only if one metric failed in a first run and in a second, fresh one; PASS only if one of them had none."""
    first = runs[0]
    if first.conclusion.answer is not Answer.FAIL or len(runs) == 1:
        return first.conclusion
    second = runs[1]
    before = {one.samples.name for one in failed(first.metrics, first.controls)}
    seconds = failed(second.metrics, second.controls)
    again = [one for one in seconds if one.samples.name in before]
    if second.conclusion.answer is Answer.FAIL and again:
        worst = max(again, key=lambda one: one.low)
        others = f" ({len(again) - 1} more)" if len(again) > 1 else ""
        return Conclusion(Answer.FAIL, f"{worst.reason}, in both of two fresh runs{others}")
    if second.conclusion.answer is Answer.INCONCLUSIVE:
        return second.conclusion
    names = ", ".join(sorted(before))
    if second.conclusion.answer is Answer.FAIL:
        others = ", ".join(one.samples.name for one in seconds)
        return Conclusion(
            Answer.INCONCLUSIVE,
            f"{names} looked worse in one run, {others} in a second, fresh one, and none in both",
            "more rounds: twice as many, or a quieter machine",
        )
    return Conclusion(Answer.PASS, f"{names} looked worse in one run, and did not in a second, fresh one")


@cache  # a calibration judges the same rounds against many floors
def _interval(logs: tuple[float, ...]) -> tuple[float, float, float]:
    found = estimate(logs)
    if found is None or found.low is None or found.high is None:
        return (found.median if found else 0.0), -math.inf, math.inf
    return found.median, found.low, found.high


def conclude_metrics(
    rounds: int, metrics: Sequence[Judged], controls: Sequence[Judged], machine: MachineState
) -> Conclusion:
    unfit = machine_unfit(rounds, controls, machine)
    if unfit is not None:
        return unfit
    worse = failed(metrics, controls)
    if worse:
        return Conclusion(Answer.FAIL, max(worse, key=lambda one: one.low).reason)
    doubtful = failed(metrics)
    if doubtful:
        worst = max(doubtful, key=lambda one: one.low)
        return Conclusion(
            Answer.INCONCLUSIVE,
            f"the control moved by as much: {percent_worse(drift_of(controls))}, and {worst.reason}",
            "another run; if it moves again, a machine of its own",
        )
    open_ones = [one for one in metrics if one.answer is Answer.INCONCLUSIVE]
    if open_ones:
        widest = max(open_ones, key=lambda one: one.high - one.low)
        more = f" ({len(open_ones) - 1} more)" if len(open_ones) > 1 else ""
        return Conclusion(
            Answer.INCONCLUSIVE,
            f"the interval is too wide: {widest.reason}{more}",
            f"more rounds: about {_rounds_needed(widest)} in place of {rounds}, or a quieter machine",
        )
    return Conclusion(Answer.PASS, f"{_passed(metrics)}; {rounds} rounds")


def failed(metrics: Sequence[Judged], controls: Sequence[Judged] = ()) -> list[Judged]:
    """Return the metrics that are worse, and beyond their limit by more than the machine slowed down `controls`.

    A scaling law alone is not worse: one worker made faster costs more to the others in proportion, and nobody is
    slower. Somebody has to be, for sure, and beyond the limit, where several work at once.
    """
    slower = any(
        one.samples.kind == "throughput"
        and (one.samples.workers or 0) >= LEAST_WORKERS_OF_LAW
        and one.low > 0
        and one.median > math.log(one.threshold)
        for one in metrics
    )
    drift = drift_of(controls)
    return [
        one
        for one in metrics
        if one.answer is Answer.FAIL
        and (slower or one.samples.kind != "law")
        # Memory does not depend on how fast a machine is.
        and (one.samples.kind == "memory" or one.low - drift > math.log(one.threshold))
    ]


def drift_of(controls: Sequence[Judged]) -> float:
    """Return by how much head's process had the slower machine, as a log; 0 if it had the faster one."""
    return max([0.0, *(one.median for one in controls)])


def _passed(metrics: Sequence[Judged]) -> str:
    text = f"no metric of {len(metrics)} is surely worse than its limit"
    if any(one.answer is Answer.FAIL for one in metrics):
        text = f"no metric of {len(metrics)} but the scaling law is surely worse than its limit"
    less = sorted((one for one in metrics if one.low > 0 and one.answer is Answer.PASS), key=lambda one: -one.low)
    if not less:
        return text
    named = ", ".join(f"{one.samples.name} {percent_worse(one.median)}" for one in less[:MOST_NAMED])
    more = f" and {len(less) - MOST_NAMED} more" if len(less) > MOST_NAMED else ""
    return f"{text}; worse by less: {named}{more}"


def machine_unfit(rounds: int, controls: Sequence[Judged], machine: MachineState) -> Conclusion | None:
    """Say why nothing can be concluded from these rounds, whatever the metrics say; None if something can."""
    if rounds < LEAST_ROUNDS:
        reason = f"{rounds} rounds are too few to judge by; at least {LEAST_ROUNDS} are needed"
        return Conclusion(Answer.INCONCLUSIVE, reason, f"--rounds {LEAST_ROUNDS} or more")
    if abs(machine.clock_jump_s) > CLOCK_TOLERANCE_S:
        reason = f"the machine's clock jumped by {machine.clock_jump_s:+.1f} s during a round"
        return Conclusion(Answer.INCONCLUSIVE, reason, "a run in which nobody sets the clock or suspends the machine")
    if machine.loaded_rounds > MOST_LOADED * rounds:
        reason = (
            f"the machine is under load: other programs used more than {100 * LOADED_SHARE:.0f} % of its cores in "
            f"{machine.loaded_rounds} of {rounds} rounds"
        )
        return Conclusion(Answer.INCONCLUSIVE, reason, "a machine that does nothing else")
    moved = [one for one in controls if one.answer is Answer.INCONCLUSIVE]
    if moved:
        return Conclusion(
            Answer.INCONCLUSIVE,
            f"the control moved: {moved[0].reason}, though no revision can touch it",
            "another run; if it moves again, a machine of its own",
        )
    return None


def _rounds_needed(judged: Judged) -> int:
    """The interval narrows with the root of the rounds: how many bring it within the promise."""
    room = max(math.log(PROMISED) - max(judged.median, 0.0), 0.02)
    half = (judged.high - judged.low) / 2
    if not math.isfinite(half):
        return 2 * LEAST_ROUNDS
    return max(LEAST_ROUNDS + 4, min(200, math.ceil(len(judged.samples.worse_log) * (half / room) ** 2 * 1.3)))
