from __future__ import annotations

from dataclasses import replace

import pytest

from harness.run.gate.records import HEAD, CommandOutcome, ThreadedBits
from harness.verdict.gate.answers import Answer
from harness.verdict.gate.counts import check_command, check_counts, check_timed_bits, first_failure
from tests.harness.gate_toys import COUNTS, make_rounds

SAME = replace(COUNTS, revision=HEAD)


def answers(head: object, accepted: tuple[str, ...] = ()) -> dict[str, Answer]:
    return {check.name: check.answer for check in check_counts(COUNTS, head, accepted)}  # type: ignore[arg-type]


def test_the_same_counts_pass() -> None:
    assert set(answers(SAME).values()) == {Answer.PASS}


@pytest.mark.parametrize(
    ("change", "failed"),
    [
        ({"equal_to_stock": 1, "first_unequal": "request 1: 'Hello'"}, {"bits-alone"}),
        ({"threaded": (ThreadedBits(4, 8, 1, 4),)}, {"bits-threads"}),
        ({"threaded": (ThreadedBits(4, 8, 0, 3),)}, {"calls-at-once"}),
        ({"tokens": (10, 21)}, {"tokens"}),
        ({"samples": (9600, 19201)}, {"samples"}),
        ({"tensor_ops": 3001}, {"tensor-ops"}),
        ({"weight_bytes": 90_001}, {"weight-bytes"}),
        ({"weight_writes": 1}, {"weight-writes"}),
        ({"process_draws": 1}, {"process-draws"}),
        ({"generators_moved": ("torch",)}, {"process-draws"}),
    ],
)
def test_one_too_many_fails(change: dict[str, object], failed: set[str]) -> None:
    found = answers(replace(SAME, **change))  # type: ignore[arg-type]
    assert {name for name, answer in found.items() if answer is Answer.FAIL} == failed


@pytest.mark.parametrize("change", [{"tensor_ops": 1500}, {"weight_bytes": 1}])
def test_fewer_pass(change: dict[str, int]) -> None:
    assert set(answers(replace(SAME, **change)).values()) == {Answer.PASS}  # type: ignore[arg-type]


def test_what_is_meant_can_be_accepted_by_name_and_only_that() -> None:
    more = replace(SAME, tensor_ops=3500, weight_bytes=95_000)
    found = answers(more, ("tensor-ops",))
    assert (found["tensor-ops"], found["weight-bytes"]) == (Answer.ACCEPTED, Answer.FAIL)
    failure = first_failure(tuple(check_counts(COUNTS, more, ())))
    assert failure is not None
    assert failure.detail == "if that is meant, --accept tensor-ops"


@pytest.mark.parametrize("change", [{"weight_writes": 1}, {"process_draws": 2}, {"equal_to_stock": 0}])
def test_harm_cannot_be_accepted(change: dict[str, int]) -> None:
    everything = ("weight-writes", "process-draws", "bits-alone")
    assert Answer.FAIL in answers(replace(SAME, **change), everything).values()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (0, Answer.PASS),
        (1, Answer.FAIL),
        (2, Answer.INCONCLUSIVE),
        (3, Answer.INCONCLUSIVE),
        (None, Answer.INCONCLUSIVE),
    ],
)
def test_a_command_is_judged_by_its_exit_status(status: int | None, answer: Answer) -> None:
    check = check_command(CommandOutcome("audit", status, "what it said", {"writes": 0}))
    assert (check.answer, check.head) == (answer, "what it said (0 writes)")


@pytest.mark.parametrize(("failed", "answer"), [(0, Answer.INCONCLUSIVE), (1, Answer.FAIL)])
def test_hazards_fail_by_what_failed_on_the_project_alone(failed: int, answer: Answer) -> None:
    said = "3 of 4 hazards do not touch this project; stock itself did not do as the catalogue says: mel-tables"
    check = check_command(CommandOutcome("hazards", 1, said, {"failed": failed}))
    assert (check.answer, "mel-tables" in check.head) == (answer, True)


def test_a_write_that_was_not_seen_to_do_harm_fails_as_well() -> None:
    check = check_command(CommandOutcome("audit", 3, "INCONCLUSIVE", {"writes": 1, "shared draws": 0}))
    assert (check.answer, check.head) == (Answer.FAIL, "INCONCLUSIVE (1 writes, 0 shared draws)")


def test_wrong_bits_while_timing_fail_for_head_alone() -> None:
    rounds = make_rounds(2)
    assert check_timed_bits(rounds).answer is Answer.PASS
    for place, answer in ((0, Answer.PASS), (1, Answer.FAIL)):
        turns = list(rounds[0].turns)
        turns[place] = replace(turns[place], cells=(replace(turns[place].cells[1], wrong=2), *turns[place].cells[2:]))
        check = check_timed_bits([replace(rounds[0], turns=tuple(turns))])
        assert check.answer is answer
    assert check.detail == "round 0: stateless at 4 workers"
