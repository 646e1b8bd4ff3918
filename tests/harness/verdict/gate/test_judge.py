from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.gate.records import HEAD, Round
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.judge import conclude_runs, judge_run
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
    failed = {one.samples.name for one in run.metrics if one.answer is Answer.FAIL}
    assert failed == {"memory/slope", "memory/peak"}


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


def test_a_worse_law_alone_is_no_regression() -> None:
    """One worker a third faster, the others as they were: nobody is slower, though the law says that it scales less."""
    runs = []
    for run in (1, 2):
        rounds = []
        for one in make_rounds(run=run, seed=run):
            turns = [
                replace(turn, cells=tuple(
                    replace(cell, wall_s=cell.wall_s / 1.33, cpu_s=cell.cpu_s / 1.33) if cell.workers == 1 else cell
                    for cell in turn.cells
                )) if turn.revision == HEAD else turn
                for turn in one.turns
            ]  # fmt: skip
            rounds.append(replace(one, turns=tuple(turns)))
        runs.append(judge_run(rounds, Floor()))
    assert any(one.answer is Answer.FAIL and one.samples.kind == "law" for one in runs[0].metrics)
    assert conclude_runs(runs).answer is Answer.PASS
