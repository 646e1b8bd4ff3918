"""Rounds: base and head take turns in ABBA order, one computing while the other waits."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.run.gate.machine import Clocks, ClockWatch, ForeignLoad
from harness.run.gate.process import RevisionProcess
from harness.run.gate.records import BASE, HEAD, CellPlan, Round, Turn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from harness.run.gate.records import Revision

WRAPPER, ENGINE = "stateless", "engine"
# Fewer rounds have no 95 % interval of a median worth the name.
LEAST_ROUNDS = 8
# As few as keep all workers busy: many short rounds tell more than few long ones, and cost less. Calls of one worker
# are cheap and the least noisy, so that what slows every call is seen in them first.
CALLS = {1: 4, 4: 4, 16: 16}
ENGINE_WORKERS = 16
# Of a calibration's blocks: no change and the slow-down that its goal names in each, all that it asks about in every
# fourth.
EVERY_BLOCK, FOURTH_BLOCK = (0.0, 0.2), (0.0, 0.1, 0.2, 0.3)


@dataclass(frozen=True)
class TurnOrder:
    """Who takes a turn: which process, and how much its stage is slowed down (calibration alone does that)."""

    revision: Revision
    injected: float = 0.0


@dataclass(frozen=True)
class Side:
    """A revision's tree, and its name for messages."""

    revision: Revision
    tree: Path
    name: str


def order_of_round(number: int, shares: Sequence[float] = (0.0,)) -> tuple[TurnOrder, ...]:
    """Return who goes when: AB in one round and BA in the next, so that turns are ABBA and neither is always first.

    With several `shares`, head takes a turn at each slow-down, and each of them is in such an order with base.
    """
    order = (TurnOrder(BASE), *(TurnOrder(HEAD, share) for share in shares))
    return order if number % 2 == 0 else order[::-1]


def shares_of_block(run: int) -> tuple[float, ...]:
    """Return the slow-downs that a calibration's block takes turns at; `run` counts from 1."""
    return FOURTH_BLOCK if run % 4 == 1 else EVERY_BLOCK


def cells_of_turn(subjects: Sequence[str]) -> tuple[CellPlan, ...]:
    """What a revision does in each of its turns."""
    cells = tuple(CellPlan(WRAPPER, workers, count) for workers, count in CALLS.items())
    engine = (CellPlan(ENGINE, ENGINE_WORKERS, ENGINE_WORKERS),) if ENGINE in subjects else ()
    return (*cells, *engine)


def run_rounds(
    sides: Sequence[Side],
    run: int,
    orders: Sequence[Sequence[TurnOrder]],
    *,
    short: bool,
    clocks: Clocks | None = None,
    tell: Callable[[str], None] = lambda _what: None,
) -> Iterator[Round]:
    """Start a fresh process for each side, warm both up, and yield one round for each of `orders`.

    A short gate leaves the engine out.

    Raises:
        RevisionProcessError: a revision cannot be loaded or fails at its work.
    """
    with ExitStack() as stack:
        processes = {
            side.revision: stack.enter_context(RevisionProcess(side.revision, side.tree, side.name)) for side in sides
        }
        tell(f"run {run}: loading")
        for process in processes.values():
            process.start_loading()
        offered = [set(process.loaded()) for process in processes.values()]
        wanted = (WRAPPER,) if short else (WRAPPER, ENGINE)
        subjects = [name for name in wanted if all(name in one for one in offered)]
        # Both or neither: whatever the preparation costs, it costs base as well.
        slowable = any(place.injected for order in orders for place in order)
        for process in processes.values():
            process.start_warming_up(subjects, slowable=slowable)
        for process in processes.values():
            process.warmed_up()
        cells = cells_of_turn(subjects)
        for number, order in enumerate(orders):
            tell(f"run {run}: round {number + 1} of {len(orders)}")
            yield run_round(processes, run, number, order, cells, clocks or Clocks())


def run_round(
    processes: dict[Revision, RevisionProcess],
    run: int,
    number: int,
    order: Sequence[TurnOrder],
    cells: Sequence[CellPlan],
    clocks: Clocks,
) -> Round:
    """Let the revisions take their turns."""
    watch = ClockWatch(clocks)
    pids = [process.pid for process in processes.values()]
    turns: list[Turn] = []
    for place in order:
        load = ForeignLoad(pids)
        turn = processes[place.revision].turn(cells, place.injected)
        turns.append(replace(turn, foreign_share=load.share()))
    return Round(run, number, tuple(turns), watch.jump_s())
