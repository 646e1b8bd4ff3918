"""Closed and open loops, on contestants that take no time or a known one."""

from __future__ import annotations

import threading
from itertools import pairwise

import pytest
import torch

from harness.run.bench.loops import closed_loop, has_hung, open_loop, poisson_schedule
from harness.run.digest import mark
from harness.subjects.contestant import Contestant, Spoken
from stateless_tts import SpeechRequest

REQUESTS = tuple(SpeechRequest(f"number {place}", seed=place) for place in range(4))


def speak(request: SpeechRequest) -> Spoken:
    assert request.seed is not None
    audio = torch.full((1, 10 + request.seed), float(request.seed))
    return Spoken(audio, torch.arange(request.seed), {"voice": 0.5})


def test_calls_come_in_the_order_of_the_workload_with_what_was_said() -> None:
    calls, wall_s = closed_loop(Contestant("toy", speak), REQUESTS, (2, 0, 1), workers=2)
    assert [call.request for call in calls] == [2, 0, 1]
    assert [call.samples for call in calls] == [12, 10, 11]
    assert [call.tokens for call in calls] == [2, 0, 1]
    assert calls[0].audio_sha256 == mark(speak(REQUESTS[2]).audio).sha256
    assert calls[0].stage_seconds == {"voice": 0.5}
    assert wall_s == max(call.ended_s for call in calls)


def test_as_many_callers_as_workers_are_in_at_a_time() -> None:
    meeting = threading.Barrier(3)

    def wait(request: SpeechRequest) -> Spoken:
        meeting.wait(timeout=60)
        return speak(request)

    calls, _ = closed_loop(Contestant("toy", wait), REQUESTS, (0, 1, 2), workers=3)
    assert all(call.error is None for call in calls)


def test_what_a_contestant_raises_is_written_down() -> None:
    def fail(request: SpeechRequest) -> Spoken:
        raise OSError(f"no\n{request.text}")

    (call,), _ = closed_loop(Contestant("toy", fail), REQUESTS, (1,), workers=1)
    assert call.error == "OSError: no"
    assert (call.samples, call.audio_sha256, call.tokens) == (0, "", None)


def test_who_is_never_answered_is_not_waited_for() -> None:
    gate = threading.Event()

    def hang(request: SpeechRequest) -> Spoken:
        if request.seed == 1:
            gate.wait(timeout=60)
        return speak(request)

    calls, _ = closed_loop(Contestant("toy", hang), REQUESTS, (0, 1, 2), workers=2, hung_after_s=0.3)
    gate.set()
    assert [call.error for call in calls] == [None, "Hung: nobody was answered for 0.3 s", None]


def test_the_schedule_is_seeded_and_has_the_rate_it_is_asked_for() -> None:
    schedule = poisson_schedule(7, 5.0, 20_000)
    assert schedule == poisson_schedule(7, 5.0, 20_000)
    assert schedule[:10] == poisson_schedule(7, 5.0, 10)
    assert schedule[:10] != poisson_schedule(8, 5.0, 10)
    assert schedule[-1] / len(schedule) == pytest.approx(0.2, rel=0.03)
    gaps = torch.tensor(schedule).diff()
    # Of a Poisson process: gaps spread as widely as their mean, none negative.
    assert float(gaps.std() / gaps.mean()) == pytest.approx(1.0, rel=0.03)
    # Twice the rate: the same arrivals in half the time.
    assert poisson_schedule(7, 10.0, 3) == pytest.approx([time / 2 for time in schedule[:3]])


def test_arrivals_wait_for_nobody() -> None:
    """The first call ends only when the last has arrived: in a closed loop it never would."""
    arrived = threading.Barrier(4)

    def wait(request: SpeechRequest) -> Spoken:
        arrived.wait(timeout=60)
        return speak(request)

    calls = open_loop(Contestant("toy", wait), REQUESTS[:3], (0.0, 0.001, 0.002, 0.003))
    assert [call.request for call in calls] == [0, 1, 2, 0]
    assert [call.scheduled_s for call in calls] == [0.0, 0.001, 0.002, 0.003]
    assert all(call.error is None and call.started_s >= call.scheduled_s for call in calls)


def test_who_serves_one_at_a_time_has_a_queue_in_front() -> None:
    inside = threading.Lock()

    def alone(request: SpeechRequest) -> Spoken:
        assert inside.acquire(blocking=False)
        inside.release()
        return speak(request)

    calls = open_loop(Contestant("toy", alone, servers=1), REQUESTS, (0.0,) * 8)
    assert [call.request for call in calls] == [0, 1, 2, 3] * 2
    assert all(call.error is None for call in calls)
    assert all(later.started_s >= call.ended_s for call, later in pairwise(calls))


def test_arrivals_that_are_never_answered_are_not_waited_for() -> None:
    gate = threading.Event()
    asked: list[int | None] = []

    def hang(request: SpeechRequest) -> Spoken:
        asked.append(request.seed)
        if request.seed == 1:
            gate.wait(timeout=60)
        return speak(request)

    calls = open_loop(Contestant("toy", hang, servers=1), REQUESTS, (0.0, 0.01, 0.02), hung_after_s=0.3)
    gate.set()
    assert [call.error for call in calls] == [None, *["Hung: nobody was answered for 0.3 s"] * 2]
    assert [call.scheduled_s for call in calls] == [0.0, 0.01, 0.02]
    assert has_hung(calls)
    assert not has_hung(calls[:1])
    assert asked == [0, 1]
