from __future__ import annotations

from harness.report.soak import soak_markdown
from harness.verdict.soak.result import judge_soak
from tests.harness.verdict.soak.test_result import PLAIN, faulty_round, observed

FACTS = {
    "environment": {"cpu": "a cpu", "cores": 2, "versions": {"torch": "2.6"}, "commit": "abc", "date": "today"},
    "command": {"seed": 7, "seconds": 480.0, "workers": 16},
}


def test_a_reader_learns_what_was_done_and_what_came_of_it() -> None:
    told = soak_markdown(judge_soak(observed(faulty_round()), FACTS))
    assert told.startswith("# Soak: SAFE\n")
    assert "a cpu, 2 cores; torch 2.6; commit abc; today. 9 rounds and 1 batches, seed 7, 16 workers" in told
    assert "| worker dies twice | 1 | 1 | 0 | 1 | 0 | 0 | 0 |" in told
    assert "| batch: SIGKILL | 1 | 1 |" in told
    assert "95 % interval" in told
    assert "Threads left: none" in told
    assert "| lost result | lost | yes |" in told
    assert "## Findings" not in told
    assert all(line.count("|") == told_bars(told, line) for line in told.splitlines() if line.startswith("|"))


def test_a_reader_learns_how_memory_was_measured() -> None:
    result = judge_soak(observed(faulty_round()), FACTS)
    assert "one heap" not in soak_markdown(result)
    result["command"] = {**result["command"], "one_heap": True}
    assert "All threads shared one heap" in soak_markdown(result)


def told_bars(told: str, line: str) -> int:
    """Return how many bars the head of the table that `line` is in has."""
    table = next(block for block in told.split("\n\n") if line in block.splitlines())
    return next(row for row in table.splitlines() if row.startswith("|")).count("|")


def test_what_is_wrong_is_listed() -> None:
    told = soak_markdown(judge_soak(observed(PLAIN.__class__(**{**vars(PLAIN), "endings": ()})), FACTS))
    assert told.startswith("# Soak: UNSAFE")
    assert "- lost: soak 0, segment 0 (r): no result" in told


def test_few_rounds_are_told_of() -> None:
    whole = observed(faulty_round())
    few = type(whole)(whole.references, (faulty_round(),), whole.cycles)
    assert "Too few rounds to fit memory. Threads left: none" in soak_markdown(judge_soak(few, FACTS))
