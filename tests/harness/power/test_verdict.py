from __future__ import annotations

from harness.power.verdict import missed


def test_a_fault_is_missed_if_nobody_caught_it() -> None:
    faults = [
        {"fault": "one", "caught_at_run": {"a": None, "b": 3}},
        {"fault": "two", "caught_at_run": {"a": None, "b": None}},
    ]
    assert missed({"faults": faults}) == ["two"]
