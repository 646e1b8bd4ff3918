"""One gate from beginning to end: which question is asked when, and when it is over."""

from __future__ import annotations

import itertools
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.gate.revisions import check_tree, checked_out
from harness.run.gate.commands import commands_of, run_commands
from harness.run.gate.families import OTHER_FAMILIES
from harness.run.gate.process import RevisionProcess
from harness.run.gate.records import BASE, HEAD
from harness.run.gate.rounds import Side, order_of_round, run_rounds, shares_of_block
from harness.verdict.gate.answers import Answer, Floor
from harness.verdict.gate.counts import check_command, check_counts, first_failure
from harness.verdict.gate.judge import judge_run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from harness.gate.revisions import Chosen, Repository
    from harness.observations.gate_store import GateWriter
    from harness.run.gate.records import CommandOutcome, RevisionCounts, Round

SHORT_NAME = 12


@dataclass(frozen=True)
class GatePlan:
    """What a gate does.

    Attributes:
        repository: whose working tree is `head`.
        base: what it is compared with.
        out: where the harness's own commands leave their files.
        rounds: of each run.
        short: fewer hazards, a shorter stress, no engine.
        accepted: counts that may be higher.
        floor: how far two runs of the same revision are apart.
    """

    repository: Repository
    base: Chosen
    out: Path
    rounds: int
    short: bool
    accepted: tuple[str, ...]
    floor: Floor


def conduct_gate(plan: GatePlan, writer: GateWriter, tell: Callable[[str], None]) -> None:
    """Count, then time; stop at the first count that fails, and time again only what looked worse.

    Raises:
        RevisionError: a revision is missing, or is not one of this project.
        RevisionProcessError: a revision cannot be loaded or fails at its work.
    """
    with checked_out(plan.repository, plan.base.commit) as tree:
        base, head = sides_of(plan, tree)
        tell("counting")
        checks = list(check_counts(*_count(base, head, writer), plan.accepted))
        if first_failure(checks):
            return
        tell("stress, hazards, audit")
        checks.extend(check_command(outcome) for outcome in _commands(plan, writer))
        if first_failure(checks):
            return
        orders = [order_of_round(number) for number in range(plan.rounds)]
        for run in (1, 2):
            rounds: list[Round] = []
            for one in run_rounds((base, head), run, orders, short=plan.short, tell=tell):
                writer.add(one)
                rounds.append(one)
            if judge_run(rounds, plan.floor).conclusion.answer is not Answer.FAIL:
                return


def conduct_calibration(plan: GatePlan, budget_s: float, writer: GateWriter, tell: Callable[[str], None]) -> None:
    """Time the base against itself, in fresh processes for every block of rounds, until the budget is spent.

    In every round head takes a turn at each of its block's slow-downs, 0 among them.
    """
    ends_at = time.monotonic() + budget_s
    with checked_out(plan.repository, plan.base.commit) as tree:
        base, _ = sides_of(plan, tree)
        # The working tree may hold changes; what is asked about here is the gate.
        sides = (base, Side(HEAD, tree, f"{base.name}, once more"))
        turns_s: list[float] = []
        for run in itertools.count(1):
            shares = shares_of_block(run)
            turns = plan.rounds * (1 + len(shares))
            if turns_s and time.monotonic() + turns * max(turns_s) > ends_at:
                return
            began = time.monotonic()
            orders = [order_of_round(number, shares) for number in range(plan.rounds)]
            for one in run_rounds(sides, run, orders, short=plan.short, tell=tell):
                writer.add(one)
            # With its part of what starting took.
            turns_s.append((time.monotonic() - began) / turns)


def sides_of(plan: GatePlan, tree: Path) -> tuple[Side, Side]:
    """Return base, in its temporary `tree`, and the working tree; both are checked.

    Raises:
        RevisionError: one of them is not a revision of this project.
    """
    base = Side(BASE, tree, f"base {plan.base.asked or plan.base.commit[:SHORT_NAME]}")
    head = Side(HEAD, plan.repository.root, "head (the working tree)")
    for side in (base, head):
        check_tree(side.tree, side.name)
    return base, head


def _count(base: Side, head: Side, writer: GateWriter) -> tuple[RevisionCounts, RevisionCounts]:
    with ExitStack() as stack:
        processes = [stack.enter_context(RevisionProcess(side.revision, side.tree, side.name)) for side in (base, head)]
        for process in processes:
            process.start_loading()
        for process in processes:
            process.loaded()
            process.start_counting(OTHER_FAMILIES)
        counts = [process.counted() for process in processes]
        for one in counts:
            writer.add(one)
    return counts[0], counts[1]


def _commands(plan: GatePlan, writer: GateWriter) -> Iterator[CommandOutcome]:
    for outcome in run_commands(commands_of(short=plan.short), plan.repository.root, plan.out.resolve()):
        writer.add(outcome)
        yield outcome
