from __future__ import annotations

from harness.workload.soak import CONVERTING, FAMILIES, make_requests


def test_the_same_seed_gives_the_same_requests() -> None:
    assert make_requests(1) == make_requests(1)
    assert make_requests(1) != make_requests(2)


def test_every_family_has_requests_with_a_clip_and_without() -> None:
    requests = make_requests(0, 3)
    assert [request.key for request in requests] == [f"{family}-{place}" for family in FAMILIES for place in range(3)]
    for family in FAMILIES:
        mine = [request for request in requests if request.family == family]
        assert {request.clip is None for request in mine} == {True, False}
        assert all(bool(request.recording) == (family == CONVERTING) for request in mine)
        assert all(bool(request.text) != (family == CONVERTING) for request in mine)


def test_turbo_has_long_clips_and_takes_no_guidance() -> None:
    turbo = [request for request in make_requests(0, 6) if request.family == "turbo"]
    assert {request.clip for request in turbo} == {None, "long"}
    assert all(set(request.parameters) == {"temperature"} for request in turbo)
