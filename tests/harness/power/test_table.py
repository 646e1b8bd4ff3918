from __future__ import annotations

from harness.power.table import markdown


def test_a_line_per_fault_and_one_without() -> None:
    result = {
        "detectors": ["concurrent", "after"],
        "faults": [{"fault": "f", "wrong": "w", "runs": 10, "caught_at_run": {"concurrent": 2, "after": None}}],
        "clean": {"runs": 200, "false_alarms": {"concurrent": 0, "after": 1}},
    }
    assert markdown(result).splitlines()[2:] == [
        "| `f` | w | 2 | not in 10 |",
        "| none | nothing | 0 false alarms in 200 runs | 1 false alarms in 200 runs |",
    ]
