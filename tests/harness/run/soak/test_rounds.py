"""Rounds over an engine of arithmetic: every fault happens, and everything is accounted for."""

from __future__ import annotations

import gc
import warnings
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from harness.run.soak.rounds import play, thread_names
from harness.run.soak.schedule import (
    CANCELLED,
    DISK_FULL,
    FAULTS,
    HANGS,
    KILLED_ONCE,
    KILLED_OUTSIDE,
    KILLED_TWICE,
    SHUT_DOWN,
    plan_round,
)
from harness.verdict.soak.segments import count_segments
from tests.harness.soak_toys import REQUESTS, ToyEngine, toy_references, toy_stage

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from stateless_tts.streaming import SegmentAudio


def test_every_fault_happens_and_every_segment_is_accounted_for(tmp_path: Path) -> None:
    stage = toy_stage(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    rounds = [play(stage, plan_round(0, number, REQUESTS, 12), "soak") for number in (0, 3, 6)]
    counts = count_segments(rounds, toy_references())
    assert counts.said == {}
    happened = {fault: tally["happened"] for fault, tally in counts.faults.items()}
    assert {fault for fault, number in happened.items() if number} >= set(FAULTS) - {CANCELLED}
    assert counts.submitted == counts.succeeded + counts.failed == sum(len(seen.submissions) for seen in rounds)
    assert counts.not_written == happened[DISK_FULL] == 3
    for seen in rounds:
        assert (seen.threads_before, seen.shut_down) == (seen.threads_after, False)
        fired = Counter(fault for _, fault in seen.fired)
        assert (fired[KILLED_ONCE], fired[KILLED_TWICE], fired[HANGS]) == (1, 2, 1)
        assert seen.workers_replaced >= 3 + fired[KILLED_OUTSIDE]
        assert seen.memory_mib > 1
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "outputs") == before


def test_a_round_that_is_shut_down_still_accounts_for_what_was_handed_in(tmp_path: Path) -> None:
    plan = plan_round(0, 1, REQUESTS, 80)
    seen = play(toy_stage(tmp_path), plan, "soak")
    counts = count_segments([seen], toy_references())
    assert counts.said == {}
    assert seen.shut_down
    assert (-1, SHUT_DOWN) in seen.fired
    assert counts.submitted == len(seen.endings) < len(plan.segments)


def test_a_cancelled_segment_is_told_of(tmp_path: Path) -> None:
    plan = plan_round(0, 0, REQUESTS, 12)
    first = next(planned for planned in plan.segments if planned.fault == HANGS)
    plan = replace(plan, segments=(first, *(p for p in plan.segments if p.fault == CANCELLED)))
    plan = replace(plan, segments=tuple(replace(p, after=1) for p in plan.segments))
    seen = play(toy_stage(tmp_path), plan, "soak")
    assert count_segments([seen], toy_references()).said == {}


def test_no_tensor_of_a_round_is_left_when_memory_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left: list[int] = []

    class Holding(ToyEngine):
        def speak_segment(self, *arguments: Any) -> SegmentAudio:  # noqa: ANN401 - passed on
            scratch = torch.empty(1, 54_321)  # held by the traceback of whatever is raised below
            spoken = super().speak_segment(*arguments)
            assert scratch.numel()
            return spoken

    def look() -> float:
        gc.collect()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            left.append(sum(type(kept) is torch.Tensor and kept.numel() == 54_321 for kept in gc.get_objects()))
        return 1.0

    monkeypatch.setattr("harness.run.soak.rounds.resident_mib", look)
    stage = toy_stage(tmp_path)
    play(replace(stage, engine=Holding(stage.trips)), plan_round(0, 2, REQUESTS, 2), "soak")
    assert left == [0]


def test_no_message_tells_where_it_was_run(tmp_path: Path) -> None:
    seen = play(toy_stage(tmp_path), plan_round(0, 0, REQUESTS, 2), "soak")
    messages = [ending.message for ending in seen.endings if ending.message]
    assert any("outputs" in message for message in messages)
    assert not any(str(tmp_path) in message for message in messages)


def test_what_is_done_after_a_round_is_done_when_its_threads_are_gone(tmp_path: Path) -> None:
    names: list[tuple[str, ...]] = []
    stage = replace(toy_stage(tmp_path), after_round=lambda: names.append(thread_names()))
    play(stage, plan_round(0, 1, REQUESTS, 4), "soak")
    assert names == [thread_names()]
