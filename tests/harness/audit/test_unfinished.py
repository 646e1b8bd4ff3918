from __future__ import annotations

from harness.audit.result import AuditResult, JudgedDraw, JudgedWrite
from harness.audit.table import audit_lines
from harness.audit.trial.judge import OUT_OF_TIME, UNLOCATED
from harness.audit.unfinished import TIME_WAS_UP, left_for_lack_of_time


def test_what_was_left_for_lack_of_time_is_named_and_nothing_else_is() -> None:
    untried = ({"name": "lock", "result": "not tried", "evidence": TIME_WAS_UP},)
    writes = (
        JudgedWrite("model.a", "attribute rebinding", "a.py:1", None, OUT_OF_TIME.evidence),
        JudgedWrite("model.b", "attribute rebinding", "b.py:2", None, UNLOCATED.evidence),
        JudgedWrite("model.c", "attribute rebinding", "c.py:3", True, "shown"),
    )
    draws = (JudgedDraw("aten::rand", "process-wide random", "d.py:4", True, "shown", untried),)

    assert left_for_lack_of_time(writes, draws) == [
        "model.a at a.py:1: not judged",
        "aten::rand from process-wide random at d.py:4: no remedy tried",
    ]


def test_the_table_says_how_much_was_left_for_lack_of_time() -> None:
    facts = {"requests": 2, "left_for_lack_of_time": ["model.a at a.py:1: not judged"]}

    lines = audit_lines(AuditResult("mine", "INCONCLUSIVE", "it is not known", facts=facts))
    assert "  findings left for lack of time, which more seconds may settle: 1" in lines

    lines = audit_lines(AuditResult("mine", "SAFE", "all is well", facts={**facts, "left_for_lack_of_time": []}))
    assert not any("lack of time" in line for line in lines)
