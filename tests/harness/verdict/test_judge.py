"""The rules that turn cells into verdicts, and verdicts into an exit status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from harness.verdict.cells import CellSummary
from harness.verdict.judge import Control, Status, Verdict, judge_run, judge_subject

CLEAN = CellSummary(
    subject="stateless", threads=4, workers=4, utterances=8, completed=8, bit_identical=8, value_corruptions=0,
    shape_corruptions=0, crashes=0, hangs=0, not_started=0, sequential_after_ok=True, sequential_after_calls=2,
    wall_s=1.0, utterances_per_s=8.0, audio_s_per_s=1.0, speedup=1.0, rss_before_mib=1.0, peak_rss_mib=2.0,
    rss_growth_per_thread_mib=0.25, errors=(), stages={}, not_run=None,
)  # fmt: skip
GOOD = Control(3, 3)


def status(name: str, *cells: CellSummary, control: Control | None = GOOD) -> Status:
    return judge_subject(name, cells, control).status


def test_clean_cells_are_safe() -> None:
    assert status("stateless", replace(CLEAN, threads=1), CLEAN) is Status.SAFE


@pytest.mark.parametrize("field", ["value_corruptions", "shape_corruptions", "crashes", "hangs"])
def test_one_fault_in_one_cell_is_unsafe(field: str) -> None:
    bad = replace(CLEAN, bit_identical=7, **{field: 1})  # type: ignore[arg-type]
    verdict = judge_subject("stateless", [CLEAN, bad], GOOD)
    assert verdict.status is Status.UNSAFE
    assert "in 16 calls, at 4 threads" in verdict.reason


def test_a_difference_afterwards_is_unsafe() -> None:
    assert status("stateless", replace(CLEAN, sequential_after_ok=False)) is Status.UNSAFE


@pytest.mark.parametrize(
    "cells",
    [
        (),
        (replace(CLEAN, threads=1, workers=1),),
        (CLEAN, replace(CLEAN, not_run="not run: it hung", utterances=0)),
        (replace(CLEAN, sequential_after_ok=None),),
    ],
)
def test_too_little_seen_is_inconclusive(cells: tuple[CellSummary, ...]) -> None:
    assert status("stateless", *cells) is Status.INCONCLUSIVE


@pytest.mark.parametrize("control", [Control(3, 2), Control(0, 0)])
def test_without_a_sound_reference_nothing_is_concluded(control: Control) -> None:
    assert status("stateless", CLEAN, control=control) is Status.INCONCLUSIVE
    assert status("upstream-shared", replace(CLEAN, crashes=8), control=control) is Status.INCONCLUSIVE


@pytest.mark.parametrize("name", ["upstream-shared", "seed-plan"])
def test_an_unprotected_subject_that_looks_clean_is_inconclusive(name: str) -> None:
    assert status(name, CLEAN) is Status.INCONCLUSIVE


@pytest.mark.parametrize(
    ("stateless", "shared", "plan", "exit_status"),
    [
        ("SAFE", "UNSAFE", "UNSAFE", 0),
        ("SAFE", "UNSAFE", None, 0),
        ("UNSAFE", "UNSAFE", "UNSAFE", 1),
        ("UNSAFE", None, None, 1),
        ("INCONCLUSIVE", "UNSAFE", "UNSAFE", 3),
        ("SAFE", "INCONCLUSIVE", "UNSAFE", 3),
        ("SAFE", "UNSAFE", "INCONCLUSIVE", 3),
        ("SAFE", None, "UNSAFE", 3),
        (None, "UNSAFE", "UNSAFE", 3),
    ],
)
def test_exit_status(stateless: str | None, shared: str | None, plan: str | None, exit_status: int) -> None:
    given = {"stateless": stateless, "upstream-shared": shared, "seed-plan": plan}
    verdicts = {name: Verdict(Status(word), "why") for name, word in given.items() if word}
    assert judge_run(verdicts).exit_status == exit_status
