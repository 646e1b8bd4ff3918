from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from harness.run.gate import rounds as module
from harness.run.gate.machine import Clocks
from harness.run.gate.records import BASE, HEAD, CellPlan, Revision, Turn
from harness.run.gate.rounds import Side, cells_of_turn, order_of_round, run_rounds, shares_of_block

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass
class Log:
    """What the stand-in processes were asked, in order, and who was at work."""

    asked: list[str] = field(default_factory=list)
    started: int = 0
    ended: int = 0


@dataclass
class StandIn:
    """A revision's process that answers at once."""

    revision: Revision
    log: Log
    pid: int = 1

    def __enter__(self) -> Self:
        self.log.started += 1
        return self

    def __exit__(self, *_error: object) -> None:
        self.log.ended += 1

    def start_loading(self) -> None:
        self.log.asked.append(f"{self.revision} load")

    def loaded(self) -> tuple[str, ...]:
        return ("stateless", "engine") if self.revision == HEAD else ("stateless",)

    def start_warming_up(self, subjects: Sequence[str], *, slowable: bool = False) -> None:
        self.log.asked.append(f"{self.revision} warm up {','.join(subjects)}{' slowable' if slowable else ''}")

    def warmed_up(self) -> None:
        self.log.asked.append(f"{self.revision} warm")

    def turn(self, cells: Sequence[CellPlan], injected: float = 0.0) -> Turn:
        self.log.asked.append(f"{self.revision} {injected}")
        assert {cell.subject for cell in cells} == {"stateless"}
        return Turn(self.revision, (), {}, 0.0, injected=injected)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    made = Log()

    def process(revision: Revision, _tree: Path, _name: str) -> StandIn:
        return StandIn(revision, made)

    monkeypatch.setattr(module, "RevisionProcess", process)
    return made


def sides(folder: Path) -> tuple[Side, Side]:
    return Side(BASE, folder, "base"), Side(HEAD, folder, "head")


def test_turns_are_abba() -> None:
    assert [turn.revision for number in range(4) for turn in order_of_round(number)] == 2 * [BASE, HEAD, HEAD, BASE]


def test_every_slow_down_is_in_an_abba_with_base() -> None:
    shares = (0.0, 0.1, 0.2)
    two = [turn for number in range(2) for turn in order_of_round(number, shares)]
    for share in shares:
        mine = [turn.revision for turn in two if turn.revision == BASE or turn.injected == share]
        assert mine == [BASE, HEAD, HEAD, BASE]


def test_every_block_asks_about_the_goal_and_some_about_more() -> None:
    blocks = [shares_of_block(run) for run in range(1, 9)]
    assert all({0.0, 0.2} <= set(shares) for shares in blocks)
    assert [len(shares) for shares in blocks] == [4, 2, 2, 2] * 2


def test_one_computes_at_a_time_in_that_order(log: Log, tmp_path: Path) -> None:
    orders = [order_of_round(number) for number in range(4)]
    found = list(run_rounds(sides(tmp_path), 3, orders, short=False))
    assert [(one.run, one.number) for one in found] == [(3, 0), (3, 1), (3, 2), (3, 3)]
    # The engine is left out where base has none.
    both = [f"{revision} {what}" for what in ("load", "warm up stateless", "warm") for revision in (BASE, HEAD)]
    assert log.asked[: len(both)] == both
    wanted = 2 * [BASE, HEAD, HEAD, BASE]
    assert log.asked[len(both) :] == [f"{revision} 0.0" for revision in wanted]
    assert (log.started, log.ended) == (2, 2)


def test_a_clock_that_jumps_is_written_down(log: Log, tmp_path: Path) -> None:
    assert not log.asked
    day = iter([0.0, 100.0])
    steady = iter([0.0, 1.0])
    clocks = Clocks(lambda: next(day), lambda: next(steady))
    (found,) = run_rounds(sides(tmp_path), 1, [order_of_round(0)], short=True, clocks=clocks)
    assert found.clock_jump_s == pytest.approx(99.0)


def test_processes_end_when_a_turn_raises(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(*_arguments: Any) -> Turn:  # noqa: ANN401 - takes anything
        raise ValueError("no")

    monkeypatch.setattr(StandIn, "turn", turn)
    with pytest.raises(ValueError, match="no"):
        list(run_rounds(sides(tmp_path), 1, [order_of_round(0)], short=True))
    assert log.ended == 2


@pytest.mark.parametrize(("shares", "slowable"), [((0.0,), ""), ((0.0, 0.2), " slowable")])
def test_only_where_turns_are_slowed_down_is_it_prepared(
    log: Log, tmp_path: Path, shares: tuple[float, ...], slowable: str
) -> None:
    list(run_rounds(sides(tmp_path), 1, [order_of_round(0, shares)], short=True))
    assert [said for said in log.asked if "warm up" in said] == [
        f"{revision} warm up stateless{slowable}" for revision in (BASE, HEAD)
    ]


def test_the_engine_is_timed_beside_the_wrapper() -> None:
    wrapper = [("stateless", 1), ("stateless", 4), ("stateless", 16)]
    assert [(cell.subject, cell.workers) for cell in cells_of_turn(("stateless",))] == wrapper
    both = cells_of_turn(("stateless", "engine"))
    assert [(cell.subject, cell.workers) for cell in both] == [*wrapper, ("engine", 16)]
    assert all(cell.calls >= cell.workers for cell in both)


def test_a_short_gate_leaves_the_engine_out(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StandIn, "loaded", lambda _self: ("stateless", "engine"))
    list(run_rounds(sides(tmp_path), 1, [order_of_round(0)], short=True))
    assert "base warm up stateless" in log.asked
