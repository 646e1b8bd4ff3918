from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.gate.records import HEAD, Round
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.judge import conclude_runs, failed, judge_run, judge_samples
from harness.verdict.gate.samples import metrics_of
from tests.harness.gate_toys import make_rounds

FEW = settings(max_examples=10, deadline=None)


def gate(**made: float) -> tuple[Answer, str]:
    """Judge two runs as the gate does: the second only if the first looks like FAIL."""
    seed = int(made.pop("seed", 0))
    runs = [judge_run(make_rounds(seed=seed + 1000 * run, run=run, **made), Floor()) for run in (1, 2)]  # type: ignore[arg-type]
    conclusion = conclude_runs(runs if runs[0].conclusion.answer is Answer.FAIL else runs[:1])
    return conclusion.answer, conclusion.reason


@FEW
@given(seed=st.integers(0, 10**6), noise=st.floats(0.002, 0.03))
def test_a_revision_that_takes_a_third_longer_fails(seed: int, noise: float) -> None:
    answer, reason = gate(slower=1.3, seed=seed, noise=noise)
    assert answer is Answer.FAIL
    assert "in both of two fresh runs" in reason


@FEW
@given(seed=st.integers(0, 10**6), noise=st.floats(0.002, 0.08), rounds=st.integers(8, 16))
def test_a_revision_against_itself_never_fails(seed: int, noise: float, rounds: int) -> None:
    answer, _ = gate(seed=seed, noise=noise, count=rounds)
    assert answer is not Answer.FAIL


@FEW
@given(seed=st.integers(0, 10**6), scale=st.floats(0.1, 10), slower=st.sampled_from([1.0, 1.3]))
def test_the_machines_own_speed_does_not_matter(seed: int, scale: float, slower: float) -> None:
    one = judge_run(make_rounds(seed=seed, slower=slower), Floor())
    other = judge_run(make_rounds(seed=seed, slower=slower, scale=scale), Floor())
    assert one.conclusion.answer is other.conclusion.answer
    for ours, theirs in zip(one.metrics, other.metrics, strict=True):
        assert ours.median == pytest.approx(theirs.median, abs=1e-4)


@FEW
@given(seed=st.integers(0, 10**6), moved=st.sampled_from([0.8, 0.9, 1.1, 1.3]), slower=st.sampled_from([1.0, 1.5]))
def test_a_control_that_moved_decides_nothing(seed: int, moved: float, slower: float) -> None:
    answer, reason = gate(seed=seed, control=moved, slower=slower)
    assert answer is Answer.INCONCLUSIVE
    assert reason.startswith("the control moved: the control: memory-bound kernel moved by")


def test_a_faster_revision_passes() -> None:
    assert gate(slower=0.7)[0] is Answer.PASS


def test_a_change_within_the_floor_passes() -> None:
    rounds = make_rounds(slower=1.08, noise=0.002)
    assert judge_run(rounds, Floor()).conclusion.answer is Answer.FAIL
    names = [one.samples.name for one in judge_run(rounds, Floor()).metrics]
    assert judge_run(rounds, Floor("measured", dict.fromkeys(names, 1.12))).conclusion.answer is Answer.PASS


def test_memory_that_grows_with_every_worker_fails() -> None:
    run = judge_run(make_rounds(grown_mib=5.0), Floor())
    worse = {one.samples.name for one in run.metrics if one.answer is Answer.FAIL}
    assert worse == {"memory/slope", "memory/peak"}


def test_an_interval_too_wide_decides_nothing_and_says_what_would_settle_it() -> None:
    run = judge_run(make_rounds(noise=0.5, seed=3), Floor())
    assert run.conclusion.answer is Answer.INCONCLUSIVE
    assert run.conclusion.reason.startswith("the interval is too wide")
    assert "more rounds: about" in run.conclusion.settle


def test_few_rounds_decide_nothing() -> None:
    run = judge_run(make_rounds(7, slower=2.0), Floor())
    assert run.conclusion.answer is Answer.INCONCLUSIVE
    assert run.conclusion.reason == "7 rounds are too few to judge by; at least 8 are needed"
    assert judge_run([], Floor()).conclusion.answer is Answer.INCONCLUSIVE


@pytest.mark.parametrize("slower", [1.0, 2.0])
def test_a_machine_under_load_decides_nothing(slower: float) -> None:
    run = judge_run(make_rounds(slower=slower, foreign=0.4), Floor())
    assert run.conclusion.answer is Answer.INCONCLUSIVE
    assert run.conclusion.reason.startswith("the machine is under load: other programs used more than 15 %")
    assert run.machine.foreign_share_median == pytest.approx(0.4)


def test_one_loaded_round_is_borne_and_unknown_load_is_no_load() -> None:
    rounds = make_rounds()
    rounds[3] = replace(rounds[3], turns=tuple(replace(turn, foreign_share=0.9) for turn in rounds[3].turns))
    assert judge_run(rounds, Floor()).conclusion.answer is Answer.PASS
    assert judge_run(make_rounds(foreign=None), Floor()).machine.foreign_share_max is None


@pytest.mark.parametrize("jump_s", [3600.0, -2.0])
def test_a_clock_that_jumps_decides_nothing(jump_s: float) -> None:
    rounds = make_rounds(slower=2.0)
    rounds[5] = replace(rounds[5], clock_jump_s=jump_s)
    run = judge_run(rounds, Floor())
    assert run.conclusion.answer is Answer.INCONCLUSIVE
    assert f"clock jumped by {jump_s:+.1f} s" in run.conclusion.reason


def test_what_does_not_recur_passes_and_what_then_moves_is_open() -> None:
    worse = judge_run(make_rounds(slower=1.3), Floor())
    as_before = judge_run(make_rounds(seed=9, run=2), Floor())
    passed = conclude_runs([worse, as_before])
    assert passed.answer is Answer.PASS
    assert "did not in a second, fresh one" in passed.reason
    loaded = judge_run(make_rounds(slower=1.3, foreign=0.5, run=2), Floor())
    assert conclude_runs([worse, loaded]).answer is Answer.INCONCLUSIVE


def test_another_metric_in_the_second_run_is_no_recurrence_and_no_clean_bill() -> None:
    grown = judge_run(make_rounds(grown_mib=5.0), Floor())
    slower = judge_run(make_rounds(slower=1.3, run=2), Floor())
    conclusion = conclude_runs([grown, slower])
    assert conclusion.answer is Answer.INCONCLUSIVE
    assert "none in both" in conclusion.reason
    assert conclusion.settle


def test_the_turns_may_come_in_either_order() -> None:
    rounds = make_rounds(slower=1.3)
    mirrored = [Round(one.run, one.number, one.turns[::-1], 0.0) for one in rounds]
    ours, theirs = judge_run(rounds, Floor()), judge_run(mirrored, Floor())
    assert [one.median for one in ours.metrics] == pytest.approx([one.median for one in theirs.metrics])
    planted = {one.samples.name: one.median for one in ours.metrics}
    assert planted["throughput/stateless/4"] == pytest.approx(math.log(1.3), abs=0.03)


def scaled(rounds: list[Round], by_workers: dict[int, float]) -> list[Round]:
    """Let head's cells take so many times as long, by their number of workers."""
    made = []
    for one in rounds:
        turns = [
            replace(turn, cells=tuple(
                replace(cell, wall_s=cell.wall_s * by, cpu_s=cell.cpu_s * by)
                for cell in turn.cells
                for by in (by_workers.get(cell.workers, 1.0),)
            )) if turn.revision == HEAD else turn
            for turn in one.turns
        ]  # fmt: skip
        made.append(replace(one, turns=tuple(turns)))
    return made


def test_a_worse_law_alone_is_no_regression() -> None:
    """One worker a third faster, the others as they were: nobody is slower, though the law says that it scales less."""
    runs = [judge_run(scaled(make_rounds(run=run, seed=run), {1: 0.75}), Floor()) for run in (1, 2)]
    assert any(one.answer is Answer.FAIL and one.samples.kind == "law" for one in runs[0].metrics)
    assert conclude_runs(runs).answer is Answer.PASS
    assert "but the scaling law is surely worse than its limit" in conclude_runs(runs).reason


@pytest.mark.parametrize(
    ("by_workers", "noise"),
    [
        ({1: 0.6, 4: 1.035}, 0.002),  # within the limit, beyond its half
        ({1: 0.6, 4: 1.07}, 0.08),  # beyond the limit, but not surely slower
    ],
)
def test_a_law_is_not_armed_by_a_throughput_that_may_be_as_it_was(by_workers: dict[int, float], noise: float) -> None:
    run = judge_run(scaled(make_rounds(seed=2, noise=noise), by_workers), Floor())
    throughput = next(one for one in run.metrics if one.samples.name == "throughput/stateless/4")
    assert throughput.median > math.log(1.025)
    assert any(one.answer is Answer.FAIL and one.samples.kind == "law" for one in run.metrics)
    assert run.conclusion.answer is not Answer.FAIL


def test_a_law_fails_where_many_workers_are_surely_slower() -> None:
    run = judge_run(scaled(make_rounds(noise=0.002), {4: 1.3, 16: 1.6}), Floor())
    assert {"law/contention", "law/coherence"} & {one.samples.name for one in failed(run.metrics, run.controls)}


@pytest.mark.parametrize(("control", "answer"), [(1.0, Answer.FAIL), (0.97, Answer.FAIL), (1.04, Answer.INCONCLUSIVE)])
def test_what_the_control_moved_by_is_no_regression(control: float, answer: Answer) -> None:
    made = {"slower": 1.08, "noise": 0.002, "control_noise": 1e-4}
    runs = [judge_run(make_rounds(control=control, seed=run, run=run, **made), Floor()) for run in (1, 2)]  # type: ignore[arg-type]
    conclusion = conclude_runs(runs)
    assert conclusion.answer is answer
    assert conclusion.reason.startswith("the control moved by as much: +4.0 %, and ") is (control > 1)


def test_memory_does_not_depend_on_the_machines_speed() -> None:
    run = judge_run(make_rounds(grown_mib=5.0, control=1.04), Floor())
    assert {one.samples.kind for one in failed(run.metrics, run.controls)} == {"memory"}


def test_an_interval_that_begins_above_no_change_does_not_hold_it() -> None:
    samples = metrics_of(make_rounds())[0]
    wide = judge_samples(
        replace(samples, worse_log=tuple(math.log(0.98 + 0.05 * place) for place in range(8))), Floor()
    )
    assert wide.low > 0
    assert wide.answer is Answer.INCONCLUSIVE
    assert "holds both less than +5.0 % and more than +20.0 %" in wide.reason
    centred = replace(samples, worse_log=tuple(0.1 * place for place in range(-4, 4)))
    assert "holds both no change and more than +20.0 %" in judge_samples(centred, Floor()).reason


def test_a_pass_names_what_is_worse_within_its_limit() -> None:
    assert judge_run(make_rounds(slower=1.04, noise=0.002), Floor()).conclusion.reason.startswith(
        "no metric of 10 is surely worse than its limit; worse by less: throughput/stateless/"
    )
    reason = judge_run(make_rounds(slower=0.9), Floor()).conclusion.reason
    assert reason == "no metric of 10 is surely worse than its limit; 8 rounds"
