from __future__ import annotations

import sys

import pytest

from harness.audit import value_stack


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="the layout is known for Python 3.11 only")
def test_the_probe_reads_the_operands_of_a_store() -> None:
    value_stack.works_here.cache_clear()
    assert value_stack.works_here()


def test_the_probe_fails_where_the_stack_lies_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    value_stack.works_here.cache_clear()
    monkeypatch.setattr(value_stack, "operand", lambda _frame, _depth: None)
    assert not value_stack.works_here()
    monkeypatch.undo()
    value_stack.works_here.cache_clear()
