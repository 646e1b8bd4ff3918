from __future__ import annotations

from harness.hazards.table import markdown


def test_a_row_per_hazard_and_bars_are_escaped() -> None:
    row = {
        "row": 4,
        "id": "shared-t3cond",
        "title": "a | b",
        "place": "t3.py",
        "effect": "wrong",
        "note": "rare",
        "status": "shown",
        "stock": {"failed": 3, "trials": 3},
        "stateless": None,
        "why_not": "not there",
    }
    head, rule, line = markdown([row]).splitlines()
    assert head.count("|") == rule.count("|") == 8
    assert line == "| 4 | `shared-t3cond`: a \\| b | `t3.py` | wrong (rare) | shown | fails 3 of 3 | not there |"
