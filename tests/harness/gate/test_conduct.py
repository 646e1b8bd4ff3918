from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from harness.gate import conduct as module
from harness.gate.conduct import GatePlan, conduct_calibration, conduct_gate, sides_of
from harness.gate.revisions import checked_out, choose_base, open_repository
from harness.observations.gate_store import GateWriter, read_gate_observations
from harness.run.gate.machine import Clocks
from harness.run.gate.process import HARNESS_ROOT, RevisionProcess
from harness.run.gate.records import HEAD, CommandOutcome, RevisionCounts
from harness.run.gate.rounds import FOURTH_BLOCK, cells_of_turn, order_of_round, run_round
from harness.verdict.gate.answers import Floor
from tests.harness.gate_toys import COUNTS, command_outcomes, commit, git, make_repository, make_rounds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.observations.gate_store import GateObservations
    from harness.run.gate.records import Round


def plan_in(folder: Path, out: Path, **changes: Any) -> GatePlan:  # noqa: ANN401 - a plan's own fields
    repository = open_repository(folder)
    made = GatePlan(repository, choose_base(repository, None), out, 8, short=True, accepted=(), floor=Floor())
    return replace(made, **changes)


def observed(conduct: Callable[[GateWriter], None], out: Path) -> GateObservations:
    out.mkdir(exist_ok=True)
    with GateWriter(out / "raw.jsonl", {}) as writer:
        conduct(writer)
    return read_gate_observations(out / "raw.jsonl")


@pytest.fixture
def plan(tmp_path: Path) -> GatePlan:
    folder = make_repository(tmp_path / "repository")
    commit(folder, {"a.txt": "a"}, "Two")
    return plan_in(folder, tmp_path / "out")


def stand_in(
    monkeypatch: pytest.MonkeyPatch,
    head: RevisionCounts,
    runs: Sequence[list[Round]] = (),
    outcomes: tuple[CommandOutcome, ...] = (),
) -> list[int]:
    """Put made-up observations in place of everything that is run; return the runs that were asked for."""
    asked: list[int] = []

    def count(_base: object, _head: object, writer: GateWriter) -> tuple[RevisionCounts, RevisionCounts]:
        writer.add(COUNTS)
        writer.add(head)
        return COUNTS, head

    def rounds(_sides: object, run: int, *_orders: object, **_named: object) -> Iterator[Round]:
        asked.append(run)
        yield from runs[run - 1]

    monkeypatch.setattr(module, "_count", count)
    monkeypatch.setattr(module, "run_commands", lambda *_arguments: iter(outcomes or command_outcomes()))
    monkeypatch.setattr(module, "run_rounds", rounds)
    return asked


def tell(_what: str) -> None:
    """Say nothing."""


@pytest.mark.parametrize(
    ("head", "outcomes", "commands"),
    [
        (replace(COUNTS, revision=HEAD, tensor_ops=10**6), (), 0),
        (replace(COUNTS, revision=HEAD), (CommandOutcome("audit", 1, "UNSAFE"),), 1),
    ],
)
def test_what_fails_without_a_clock_ends_it(
    plan: GatePlan,
    monkeypatch: pytest.MonkeyPatch,
    head: RevisionCounts,
    outcomes: tuple[CommandOutcome, ...],
    commands: int,
) -> None:
    asked = stand_in(monkeypatch, head, [make_rounds()], outcomes)
    found = observed(lambda writer: conduct_gate(plan, writer, tell), plan.out)
    assert (asked, len(found.commands), len(found.rounds)) == ([], commands, 0)


@pytest.mark.parametrize(("slower", "runs"), [(1.0, [1]), (1.3, [1, 2])])
def test_only_what_looked_worse_is_timed_again(
    plan: GatePlan, monkeypatch: pytest.MonkeyPatch, slower: float, runs: list[int]
) -> None:
    planted = [make_rounds(slower=slower), make_rounds(slower=slower, run=2, seed=5)]
    asked = stand_in(monkeypatch, replace(COUNTS, revision=HEAD), planted)
    found = observed(lambda writer: conduct_gate(plan, writer, tell), plan.out)
    assert asked == runs
    assert len(found.rounds) == 8 * len(runs)


def test_a_calibration_ends_with_its_budget_and_has_one_block_at_least(
    plan: GatePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = stand_in(monkeypatch, COUNTS, [make_rounds(run=run) for run in range(1, 4)])
    found = observed(lambda writer: conduct_calibration(plan, 0.0, writer, tell), plan.out)
    assert asked == [1]
    assert len(found.rounds) == 8


def test_a_calibration_begins_no_block_that_would_outlast_its_budget(
    plan: GatePlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    # Two seconds a turn, with 40 turns in the first block of four and 24 in the others.
    lasts = {1: 80.0, 2: 48.0, 3: 48.0}
    asked: list[int] = []

    def rounds(_sides: object, run: int, *_orders: object, **_named: object) -> Iterator[Round]:
        asked.append(run)
        now[0] += lasts[run]
        yield from make_rounds(run=run)

    monkeypatch.setattr(module, "run_rounds", rounds)
    monkeypatch.setattr("harness.gate.conduct.time.monotonic", lambda: now[0])
    observed(lambda writer: conduct_calibration(plan, 180.0, writer, tell), plan.out)
    assert asked == [1, 2, 3]
    assert now[0] == 176.0


@pytest.fixture
def two_equal_revisions(tmp_path: Path) -> Path:
    """A repository with this package in it, and a last commit that changes nothing."""
    folder = make_repository(tmp_path / "repository", files={"harness/__init__.py": ""})
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(HARNESS_ROOT / "stateless_tts", folder / "stateless_tts", ignore=ignore)
    commit(folder, {}, "Add the package")
    commit(folder, {"a.txt": "a"}, "Change nothing")
    return folder


@pytest.mark.slow
def test_two_equal_revisions_count_the_same_and_take_turns(
    two_equal_revisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What is asked here is who goes when, at which slow-down, and with whose bits; two threads are enough to ask it.
    monkeypatch.setattr("harness.run.gate.rounds.CALLS", {1: 1, 2: 2})
    plan = plan_in(two_equal_revisions, tmp_path / "out")
    began = time.time()
    with checked_out(plan.repository, plan.base.commit) as tree, ExitStack() as stack:
        processes = {
            side.revision: stack.enter_context(RevisionProcess(side.revision, side.tree, side.name))
            for side in sides_of(plan, tree)
        }
        for process in processes.values():
            process.start_loading()
        for process in processes.values():
            assert "stateless" in process.loaded()
            process.start_counting([])
        base, head = (process.counted() for process in processes.values())
        for process in processes.values():
            process.start_warming_up(["stateless"], slowable=True)
        for process in processes.values():
            process.warmed_up()
        order = order_of_round(0, FOURTH_BLOCK)
        one = run_round(processes, 1, 0, order, cells_of_turn(["stateless"]), Clocks())
    assert replace(base, revision=HEAD) == head
    assert base.equal_to_stock == base.requests
    assert [(turn.revision, turn.injected) for turn in one.turns] == [
        ("base", 0.0), ("head", 0.0), ("head", 0.1), ("head", 0.2), ("head", 0.3)
    ]  # fmt: skip
    assert all(cell.wrong == 0 for turn in one.turns for cell in turn.cells)
    assert abs(one.clock_jump_s) < time.time() - began
    assert len(git(two_equal_revisions, "worktree", "list").splitlines()) == 1
