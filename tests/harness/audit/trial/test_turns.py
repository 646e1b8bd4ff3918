from __future__ import annotations

from typing import TYPE_CHECKING

from harness.audit.state.cells import Cell
from harness.audit.trial.turns import DRAW, Turns, one_of_every_kind_first
from tests.harness.audit.trial.made_up import MODEL, finding

if TYPE_CHECKING:
    from harness.audit.findings import Finding

HOOKS = Cell(MODEL.attribute("hooks"), "content")
SEEN = Cell(MODEL.attribute("hooks").step("item", 7).attribute("seen"), "slot")
STATE = Cell(MODEL.attribute("state"), "slot")


def is_there(cells: frozenset[Cell]) -> bool:
    return SEEN not in cells


def in_turn(*findings: Finding) -> list[str]:
    return [findings[index].path for index in Turns(findings, is_there).order]


def test_rebinding_comes_before_tensors_hooks_draws_and_configurations_whatever_was_seen_first() -> None:
    kinds = ("configuration", DRAW, "hook registration", "in-place tensor write", "attribute rebinding")

    assert in_turn(*(finding(kind, kind) for kind in kinds)) == list(reversed(kinds))


def test_repeats_come_after_every_distinct_place_and_constants_come_last() -> None:
    findings = (
        finding("constant", same=True),
        finding("one", "attribute rebinding", STATE),
        finding("two", "attribute rebinding", STATE),
        finding("other", "configuration"),
    )

    assert in_turn(*findings) == ["one", "other", "two", "constant"]


def test_what_calls_add_comes_after_what_was_there_the_most_written_first() -> None:
    findings = (
        finding("rare", "hook registration", SEEN, above=(HOOKS,), count=2),
        finding("frequent", "hook registration", SEEN, above=(HOOKS,), count=9),
        finding("hooks", "hook registration", HOOKS),
    )

    assert in_turn(*findings) == ["hooks", "frequent", "rare"]


def test_a_registry_is_also_judged_where_what_was_added_to_it_is_written_most_often() -> None:
    wider = finding("wider", "hook registration", HOOKS, STATE)
    hooks = finding("hooks", "hook registration", HOOKS)
    rare = finding("rare", "hook registration", SEEN, above=(HOOKS,), count=2)
    frequent = finding("frequent", "hook registration", SEEN, above=(HOOKS,), count=9)

    turns = Turns((wider, hooks, rare, frequent), is_there)

    assert turns.added == {2, 3}
    assert turns.beneath == {1: frequent.sites}


def test_remedies_are_tried_for_one_finding_of_every_kind_before_any_second_one() -> None:
    findings = (finding("one"), finding("two"), finding("noise", DRAW), finding("three"), finding("seed", DRAW))

    assert one_of_every_kind_first(findings) == [0, 2, 1, 3, 4]
