from __future__ import annotations

from harness.audit.summary import summary_lines


def test_a_row_counts_what_is_harmful_and_names_the_remedies_that_hold() -> None:
    remedies = [{"name": "lock", "result": "holds"}, {"name": "copy per call", "result": "does not hold"}]
    write = {"path": "model.x", "location": "a.py:3", "harmful": True, "remedies": remedies}
    draws = [{"op": "aten::randn", "generator": "own", "location": "a.py:4", "harmful": False, "remedies": []}]

    row = summary_lines([{"subject": "s", "verdict": "UNSAFE", "writes": [write], "draws": draws}])[-1]

    assert row == "| s | UNSAFE | 1 (1) | 0 (0) | `model.x` at `a.py:3` | lock |"
