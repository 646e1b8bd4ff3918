from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.observations.gate_store import GateObservations, GateWriter, read_gate_observations
from harness.run.gate.records import HEAD, CommandOutcome, RevisionCounts, Round
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.result import conclude, gate_json
from tests.harness.gate_toys import COUNTS, command_outcomes, make_rounds

FACTS: dict[str, Any] = {
    "environment": {"cpu": "A CPU", "cores": 2},
    "command": {"rounds": 8, "short": False, "workers": [1, 4, 16], "seed": 0, "accepted": [], "benchmarks": False},
    "base": {"asked": None, "commit": "a" * 40, "subject": "Begin", "note": "the commit before"},
    "head": {"commit": "b" * 40, "dirty": False, "note": "the working tree"},
}


def observations(
    rounds: list[Round] | None = None,
    head: RevisionCounts | None = None,
    commands: tuple[CommandOutcome, ...] | None = None,
) -> GateObservations:
    counts = (COUNTS, head or replace(COUNTS, revision=HEAD))
    return GateObservations(FACTS, counts, command_outcomes() if commands is None else commands, tuple(rounds or []))


def test_a_gate_that_holds_passes_and_its_json_is_strict() -> None:
    seen = observations(make_rounds())
    verdict = conclude(seen, Floor())
    result = gate_json(seen, verdict, Floor(), 12.3)
    assert (result["answer"], result["exit_status"]) == (Answer.PASS, 0)
    assert result["reason"].startswith("13 deterministic gates hold; no metric of 10 is surely worse")
    assert json.loads(json.dumps(result, allow_nan=False))["runs"][0]["rounds"][0]["order"] == [
        "base", "head", "head", "base",
    ]  # fmt: skip
    assert {law["revision"] for law in result["runs"][0]["law"]} == {"base", "head"}
    assert abs(result["runs"][0]["memory"][0]["slope"] - 6.0) < 0.2


def test_a_count_that_fails_ends_it_and_says_that_nothing_was_timed() -> None:
    seen = observations(head=replace(COUNTS, revision=HEAD, tensor_ops=3001), commands=())
    verdict = conclude(seen, Floor())
    result = gate_json(seen, verdict, Floor(), 1.0)
    assert (result["answer"], result["exit_status"], result["performance_run"]) == (Answer.FAIL, 1, False)
    assert result["reason"] == (
        "tensor-ops: 100.0, base 100.0; it has to be no more than base (if that is meant, --accept tensor-ops)"
    )
    assert result["performance_skipped"] == f"not timed: {result['reason']}"
    assert conclude(seen, Floor(), ("tensor-ops",)).conclusion.answer is Answer.INCONCLUSIVE


def test_wrong_bits_count_for_more_than_a_loaded_machine() -> None:
    rounds = make_rounds(foreign=0.9)
    turn = rounds[0].turns[1]
    bad = replace(turn, cells=(replace(turn.cells[0], wrong=1), *turn.cells[1:]))
    rounds[0] = replace(rounds[0], turns=(rounds[0].turns[0], bad, *rounds[0].turns[2:]))
    assert conclude(observations(rounds), Floor()).conclusion.reason.startswith("bits-timed: ")


def test_a_command_that_proved_nothing_leaves_the_gate_open() -> None:
    outcomes = (CommandOutcome("stress", 3, "upstream-shared looked clean"), *command_outcomes()[1:])
    conclusion = conclude(observations(make_rounds(), commands=outcomes), Floor()).conclusion
    assert (conclusion.answer, conclusion.reason) == (Answer.INCONCLUSIVE, "stress: upstream-shared looked clean")


@pytest.mark.parametrize("short", [True, False])
@pytest.mark.parametrize("name", ["stress", "hazards", "audit"])
def test_what_would_settle_a_command_is_a_command_line(name: str, short: bool) -> None:
    left = (CommandOutcome(name, None, "did not end within 900 s"),)
    seen = observations(make_rounds(), commands=left)
    facts = {**FACTS, "command": {**FACTS["command"], "short": short}}
    settle = conclude(replace(seen, facts=facts), Floor()).conclusion.settle
    line = settle.removeprefix("a mend of what python -m harness ").removesuffix(" says by itself").split()
    parser = argparse.ArgumentParser()
    importlib.import_module(f"harness.commands.{line[0]}").add_arguments(parser)
    assert parser.parse_args(line[1:]).out == Path("reports") / name


def test_two_runs_are_kept_apart() -> None:
    rounds = [*make_rounds(slower=1.3), *make_rounds(slower=1.3, run=2, seed=4)]
    seen = observations(rounds)
    verdict = conclude(seen, Floor())
    assert (len(verdict.runs), verdict.conclusion.answer) == (2, Answer.FAIL)
    assert [len(run["rounds"]) for run in gate_json(seen, verdict, Floor(), 1.0)["runs"]] == [8, 8]


def test_what_was_saved_is_judged_alike(tmp_path: Path) -> None:
    seen = observations(make_rounds())
    with GateWriter(tmp_path / "raw.jsonl", FACTS) as writer:
        records: tuple[RevisionCounts | CommandOutcome | Round, ...] = (*seen.counts, *seen.commands, *seen.rounds)
        for record in records:
            writer.add(record)
    assert read_gate_observations(tmp_path / "raw.jsonl") == seen


@pytest.mark.parametrize(("stands_in", "dirty", "slower", "answer"), [
    (True, False, 1.0, Answer.INCONCLUSIVE), (True, False, 1.5, Answer.INCONCLUSIVE),
    (True, True, 1.0, Answer.PASS), (False, False, 1.0, Answer.PASS),
])  # fmt: skip
def test_a_clean_commit_for_want_of_another_base_is_no_comparison(
    stands_in: bool, dirty: bool, slower: float, answer: Answer
) -> None:
    head = {**FACTS["head"], "commit": FACTS["base"]["commit"], "dirty": dirty}
    base = {**FACTS["base"], "stands_in": stands_in}
    seen = replace(observations(make_rounds(slower=slower)), facts={**FACTS, "base": base, "head": head})
    conclusion = conclude(seen, Floor()).conclusion
    assert conclusion.answer is answer
    nothing = answer is Answer.INCONCLUSIVE
    assert conclusion.reason.startswith("nothing was compared: base and head are both aaaaaaaaaaaa") is nothing
    assert ("--base REV" in conclusion.settle) is nothing
    wrong = replace(seen, counts=(COUNTS, replace(COUNTS, revision=HEAD, equal_to_stock=1)))
    assert conclude(wrong, Floor()).conclusion.answer is Answer.FAIL


def test_a_lock_round_every_call_fails_by_what_it_costs() -> None:
    said = "0 of 13 hazards do not touch this project; 13 could not be played, because calls wait for each other: a"
    commands = (CommandOutcome("hazards", 1, said, {"failed": 0}),)
    slower = [*make_rounds(slower=1.9), *make_rounds(slower=1.9, run=2, seed=4)]
    failed = conclude(observations(slower, commands=commands), Floor()).conclusion
    assert failed.answer is Answer.FAIL
    assert "in both of two fresh runs" in failed.reason
    alike = conclude(observations(make_rounds(), commands=commands), Floor()).conclusion
    assert (alike.answer, alike.reason) == (Answer.INCONCLUSIVE, f"hazards: {said} (0 failed)")
