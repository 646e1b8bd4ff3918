"""Rounds: base and head take turns in ABBA order, one computing while the other waits."""

from __future__ import annotations

import time
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
FULL_CALLS = {1: 4, 4: 8, 16: 16}
SHORT_CALLS = {1: 2, 4: 4, 16: 16}
ENGINE_WORKERS = 16


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


def order_of_round(number: int, *, short: bool) -> tuple[TurnOrder, ...]:
    """Return who goes when: neither revision is always the first.

    A round is ABBA, and the next one BAAB. A short gate's rounds are AB and BA in turn, so that ABBA takes two of them.
    """
    return order_with_injections(number, (0.0,), short=short)


def order_with_injections(number: int, shares: Sequence[float], *, short: bool) -> tuple[TurnOrder, ...]:
    """The same with head at several slow-downs: each of them is in an ABBA of its own with base."""
    half = (TurnOrder(BASE), *(TurnOrder(HEAD, share) for share in shares))
    half = half if number % 2 == 0 else half[::-1]
    return half if short else (*half, *half[::-1])


def cells_of_turn(subjects: Sequence[str], *, short: bool) -> tuple[CellPlan, ...]:
    """What a revision does in each of its turns."""
    calls = SHORT_CALLS if short else FULL_CALLS
    cells = tuple(CellPlan(WRAPPER, workers, count) for workers, count in calls.items())
    engine = (CellPlan(ENGINE, ENGINE_WORKERS, ENGINE_WORKERS),) if ENGINE in subjects else ()
    return (*cells, *engine)


def run_rounds(
    sides: Sequence[Side],
    run: int,
    orders: Sequence[Sequence[TurnOrder]],
    *,
    short: bool,
    clocks: Clocks | None = None,
    ends_at: float = float("inf"),
    tell: Callable[[str], None] = lambda _what: None,
) -> Iterator[Round]:
    """Start a fresh process for each side, warm both up, and yield one round for each of `orders`.

    Stops early, between rounds, when `time.monotonic()` passes `ends_at`.

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
        for process in processes.values():
            process.warm_up(subjects)
        cells = cells_of_turn(subjects, short=short)
        for number, order in enumerate(orders):
            if time.monotonic() > ends_at:
                return
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
