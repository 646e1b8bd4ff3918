"""Every planted defect is caught by the check that is there for it, and a sound stage by none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from harness.observations.soak_store import SoakObservations
from harness.run.soak.planted import DEFECTS, Defect
from harness.run.soak.rounds import play, thread_names
from harness.run.soak.schedule import plain_round
from harness.verdict.soak.result import judge_soak
from tests.harness.soak_toys import REQUESTS, toy_references, toy_stage

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_planted_defect_is_caught_and_mended_again(defect: Defect, tmp_path: Path) -> None:
    before = thread_names()
    stage = toy_stage(tmp_path)
    with defect.plant(stage) as defective:
        rounds = [play(defective, plain_round(number, REQUESTS, 4), defect.name) for number in range(defect.rounds)]
    power = {
        row["planted"]: row for row in judge_soak(SoakObservations(toy_references(), tuple(rounds), ()), {})["power"]
    }
    assert power[defect.name]["caught"]
    assert [name for name, row in power.items() if row["caught"]] == [defect.name]
    sound = tuple(play(stage, plain_round(0, REQUESTS, 4), defect.name) for _ in range(1))
    power = {row["planted"]: row for row in judge_soak(SoakObservations(toy_references(), sound, ()), {})["power"]}
    assert not power[defect.name]["caught"]
    for thread in threading.enumerate():
        if thread.name == "leaked":
            thread.join(10)
    assert thread_names() == before
