from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

import pytest

from harness.run.gate import rounds as module
from harness.run.gate.machine import Clocks
from harness.run.gate.records import BASE, HEAD, CellPlan, Revision, Turn
from harness.run.gate.rounds import Side, cells_of_turn, order_of_round, order_with_injections, run_rounds

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

    def warm_up(self, subjects: Sequence[str]) -> None:
        self.log.asked.append(f"{self.revision} warm up {','.join(subjects)}")

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


def test_turns_are_abba_and_then_baab() -> None:
    assert [turn.revision for turn in order_of_round(0, short=False)] == [BASE, HEAD, HEAD, BASE]
    assert [turn.revision for turn in order_of_round(1, short=False)] == [HEAD, BASE, BASE, HEAD]
    two = [turn.revision for number in range(2) for turn in order_of_round(number, short=True)]
    assert two == [BASE, HEAD, HEAD, BASE]


@pytest.mark.parametrize("number", [0, 1])
def test_every_slow_down_is_in_an_abba_with_base(number: int) -> None:
    order = order_with_injections(number, (0.0, 0.1, 0.2), short=False)
    assert order == order[::-1]
    for share in (0.0, 0.1, 0.2):
        mine = [turn.revision for turn in order if turn.revision == BASE or turn.injected == share]
        assert mine in ([BASE, HEAD, HEAD, BASE], [HEAD, BASE, BASE, HEAD])


def test_one_computes_at_a_time_in_that_order(log: Log, tmp_path: Path) -> None:
    orders = [order_of_round(number, short=False) for number in range(2)]
    found = list(run_rounds(sides(tmp_path), 3, orders, short=False))
    assert [(one.run, one.number) for one in found] == [(3, 0), (3, 1)]
    # The engine is left out where base has none.
    assert log.asked[:4] == ["base load", "head load", "base warm up stateless", "head warm up stateless"]
    wanted = [BASE, HEAD, HEAD, BASE, HEAD, BASE, BASE, HEAD]
    assert log.asked[4:] == [f"{revision} 0.0" for revision in wanted]
    assert (log.started, log.ended) == (2, 2)


def test_a_clock_that_jumps_is_written_down(log: Log, tmp_path: Path) -> None:
    assert not log.asked
    day = iter([0.0, 100.0])
    steady = iter([0.0, 1.0])
    clocks = Clocks(lambda: next(day), lambda: next(steady))
    (found,) = run_rounds(sides(tmp_path), 1, [order_of_round(0, short=True)], short=True, clocks=clocks)
    assert found.clock_jump_s == pytest.approx(99.0)


def test_no_round_begins_after_the_end(log: Log, tmp_path: Path) -> None:
    assert list(run_rounds(sides(tmp_path), 1, [order_of_round(0, short=True)], short=True, ends_at=0.0)) == []
    assert (log.started, log.ended) == (2, 2)


def test_processes_end_when_a_turn_raises(log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def turn(*_arguments: Any) -> Turn:  # noqa: ANN401 - takes anything
        raise ValueError("no")

    monkeypatch.setattr(StandIn, "turn", turn)
    with pytest.raises(ValueError, match="no"):
        list(run_rounds(sides(tmp_path), 1, [order_of_round(0, short=True)], short=True))
    assert log.ended == 2


def test_a_short_gate_leaves_the_engine_out() -> None:
    full = cells_of_turn(("stateless", "engine"), short=False)
    assert [(cell.subject, cell.workers) for cell in full] == [
        ("stateless", 1), ("stateless", 4), ("stateless", 16), ("engine", 16)
    ]  # fmt: skip
    short = cells_of_turn(("stateless",), short=True)
    assert sum(cell.calls for cell in short) < sum(cell.calls for cell in full)
