from __future__ import annotations

import pytest

from harness.report.kinds.history import KIND
from harness.verdict.history import SavedRun, Value, judge_history


def runs(count: int, machine: str, step_at: int) -> list[SavedRun]:
    return [
        SavedRun(
            f"{place}.json", f"c{place:03}", f"2026-01-{place + 1:02}", machine,
            {"toy/4/speedup": Value(1.0 + 0.001 * (place % 3) - (0.5 if place >= step_at else 0.0), "higher")},
        )
        for place in range(count)
    ]  # fmt: skip


@pytest.mark.usefixtures("undrawn")
def test_steps_are_told_beside_lines_without_any_and_lines_too_short() -> None:
    result = judge_history([*runs(12, "desk", 6), *runs(12, "cloud", 99), *runs(4, "shed", 2)], "*", {})
    part = KIND.part(result)
    assert (part.status, part.tone) == ("GOT WORSE", "bad")
    table = part.sections[0].table
    assert table is not None
    rows = {row[1].text: [field.text for field in row[2:6]] for row in table.rows}
    assert rows["desk"] == ["worse", "c006", "1.001 to 0.501", "-50.0 %"]
    assert rows["cloud"][0] == "no step"
    assert rows["shed"][0] == "4 commits: too few"
    assert "Of 12 commits the date is not known here" in part.sections[0].text[0]
