from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from harness.report.kinds.soak import KIND
from harness.verdict.saved import save_result

if TYPE_CHECKING:
    from pathlib import Path

    from harness.report.page import Section


def result(status: str = "SAFE", *, caught: bool = True, lost: tuple[str, ...] = ()) -> dict[str, Any]:
    tally = {"planned": 3, "happened": 2, "identical": 1, "failed": 2}
    memory = {"mib_per_1000_segments": 1.5, "low": -2.0, "high": 5.0, "resident_mib": 900.0, "least_seen": 7.0}
    return {
        "version": "soak/1", "environment": {"cpu": "a cpu", "versions": {"torch": "2.6.0"}}, "command": {"seed": 7},
        "segments": {"submitted": 12, "succeeded": 9, "failed": 3, "faults": {}}, "faults": {"time-out": tally},
        "memory": memory, "threads_left": [], "workers_replaced": 4, "checks": {"lost": list(lost), "threads": []},
        "power": [{"planted": "lost-result", "check": "lost", "caught": caught, "said": "segment 3"}],
        "verdict": {"status": status, "exit_status": 0, "reason": "12 segments"},
    }  # fmt: skip


def texts(section: Section) -> list[list[str]]:
    assert section.table is not None
    return [[field.text for field in row] for row in section.table.rows]


@pytest.mark.parametrize(("status", "tone"), [("SAFE", "good"), ("UNSAFE", "bad"), ("INCONCLUSIVE", "unsure")])
def test_the_headline_is_the_verdict(status: str, tone: str) -> None:
    part = KIND.part(result(status))
    assert (part.status, part.tone, part.summary) == (status, tone, "12 segments.")


def test_every_check_says_what_it_found() -> None:
    checks, segments, faults, memory, power, _ = KIND.part(result(lost=("segment 5",), caught=False)).sections
    assert texts(checks) == [["lost", "segment 5"], ["threads", "nothing"]]
    assert checks.table is not None
    assert checks.table.rows[0][1].tone == "bad"
    assert texts(segments) == [["submitted", "12"], ["succeeded", "9"], ["failed", "3"]]
    assert texts(faults) == [["time-out", "3", "2", "1", "2", "", "", ""]]
    assert texts(memory)[0][1] == "+1.5 (-2.0 to +5.0) at 900 MiB"
    assert texts(power) == [["lost-result", "lost", "MISSED", "segment 3"]]


def test_it_is_read_as_it_was_saved(tmp_path: Path) -> None:
    save_result(result(), tmp_path / "soak.json")
    assert KIND.lies_in(tmp_path)
    assert KIND.load(tmp_path)["segments"]["submitted"] == 12
