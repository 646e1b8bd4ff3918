from __future__ import annotations

from harness.run.soak import schedule
from harness.run.soak.schedule import FAULTS, HANGS, STALLS, plain_round, plan_round
from tests.harness.soak_toys import REQUESTS


def test_the_same_seed_gives_the_same_round() -> None:
    assert plan_round(1, 2, REQUESTS, 5) == plan_round(1, 2, REQUESTS, 5)
    assert plan_round(1, 2, REQUESTS, 5) != plan_round(2, 2, REQUESTS, 5)
    assert plan_round(1, 2, REQUESTS, 5) != plan_round(1, 3, REQUESTS, 5)


def test_every_round_has_every_fault_and_healthy_segments() -> None:
    for number in range(4):
        plan = plan_round(0, number, REQUESTS, 9)
        faults = [planned.fault for planned in plan.segments]
        assert set(faults) == {*FAULTS, ""}
        assert faults.count("") == 9
        assert [planned.index for planned in plan.segments] == list(range(len(faults)))
        assert faults[:2] == [HANGS, STALLS], "the others go on around them"


def test_some_rounds_are_shut_down() -> None:
    plans = [plan_round(0, number, REQUESTS, 9) for number in range(8)]
    down = [plan for plan in plans if plan.shut_down_after is not None]
    assert [plan.number for plan in down] == [1, 5]
    for plan in down:
        assert plan.shut_down_after is not None
        assert 0 < plan.shut_down_after < len(plan.segments)


def test_faults_meet_requests_that_can_meet_them() -> None:
    for number in range(30):
        for planned in plan_round(0, number, REQUESTS, 3).segments:
            if planned.fault in (schedule.RAISES["voice"], schedule.CLIP_DELETED):
                assert planned.request.clip is not None
            if planned.fault == schedule.RAISES["speech tokens"] or planned.stage == "speech tokens":
                assert planned.request.family != "vc"
            assert bool(planned.stage) == (planned.fault in (schedule.KILLED_ONCE, schedule.KILLED_TWICE))


def test_a_plain_round_has_no_fault_and_all_families() -> None:
    plan = plain_round(0, REQUESTS, 8)
    assert {planned.fault for planned in plan.segments} == {""}
    assert {planned.request.family for planned in plan.segments} == {"english", "multilingual", "turbo", "vc"}
