from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.run.soak.batches import FULL, SIGINT, SIGKILL
from harness.run.soak.records import BatchCycle, BatchRun
from harness.verdict.soak.batches import batch_faults, batch_findings

EXPECTED = {"1": "a", "2": "b"}
DONE = BatchRun("", False, 0, False, {}, EXPECTED, (), dict.fromkeys(EXPECTED, "succeeded"), {"1": "", "2": ""})
KILLED = replace(DONE, fault=SIGKILL, fired=True, exit_status=-9, after={"1": "a"}, partial=("p",), statuses={})


def findings(*runs: BatchRun) -> list[str]:
    return batch_findings([BatchCycle(EXPECTED, runs)])


def test_nothing_to_find() -> None:
    interrupted = replace(
        DONE,
        fault=SIGINT,
        fired=True,
        exit_status=130,
        after={"1": "a"},
        statuses={"1": "succeeded", "2": "unfinished"},
    )
    full = replace(
        interrupted, fault=FULL, exit_status=1, statuses={"1": "succeeded", "2": "failed"}, errors={"2": "full"}
    )
    assert findings(KILLED, interrupted, full, DONE) == []
    assert batch_faults([BatchCycle(EXPECTED, (KILLED, replace(full, fired=False), DONE))]) == {
        "batch: SIGKILL": {"planned": 1, "happened": 1},
        "batch: disk full": {"planned": 1, "happened": 0},
    }


@pytest.mark.parametrize(
    ("changed", "found"),
    [
        ({"traceback": True}, "it showed a traceback"),
        ({"exit_status": 1}, "exit status 1, not 0"),
        ({"after": {"1": "a", "2": "x"}}, "2: not what stock comes to"),
        ({"after": {**EXPECTED, "3": "c"}}, "3: not what stock comes to"),
        ({"after": {"1": "a"}}, "2: succeeded, and its file is not there"),
        ({"after": {"1": "a"}}, "1 of 2 files are there"),
        ({"before": {"3": "c"}}, "3: there before, and gone"),
        ({"partial": ("p",)}, "p: left half-written"),
        ({"statuses": {"1": "succeeded"}}, "its manifest tells of 1 of 2 items"),
        ({"statuses": {"1": "succeeded", "2": "failed"}}, "2: failed without saying why"),
    ],
)
def test_what_is_wrong_is_found(changed: dict[str, Any], found: str) -> None:
    assert f"batch 1, run 1 (left alone): {found}" in findings(replace(DONE, **changed))


def test_a_killed_run_answers_for_its_files_alone() -> None:
    assert findings(replace(KILLED, after={"1": "half"}), DONE) == [
        "batch 1, run 1 (SIGKILL): 1: not what stock comes to"
    ]
