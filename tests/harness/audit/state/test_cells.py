from __future__ import annotations

from harness.audit.state.cells import Cell, is_ancestor
from harness.audit.state.paths import Path

HOOKS = Path("model").attribute("hooks")
INSIDE = Cell(HOOKS.step("item", 7).attribute("seen"), "slot")


def test_a_slot_leads_to_what_its_object_holds() -> None:
    assert is_ancestor(Cell(HOOKS, "slot"), INSIDE)
    assert is_ancestor(Cell(HOOKS, "slot"), Cell(HOOKS, "content"))


def test_a_container_leads_to_what_its_entries_hold_but_not_to_its_own_slot() -> None:
    assert is_ancestor(Cell(HOOKS, "content"), INSIDE)
    assert not is_ancestor(Cell(HOOKS, "content"), Cell(HOOKS, "slot"))
    assert not is_ancestor(INSIDE, Cell(HOOKS, "content"))
