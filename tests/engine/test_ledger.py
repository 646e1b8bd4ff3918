"""First come, first served, within the bounds, and every job ends once."""

from __future__ import annotations

import threading
import time
import weakref
from concurrent.futures import wait
from typing import Any

import pytest
import torch

from stateless_tts import (
    DeadlineExceededError,
    EngineClosedError,
    EngineFailedError,
    QueueFullError,
    SpeechRequest,
)
from stateless_tts.engine._job import Job
from stateless_tts.engine._ledger import Ledger
from stateless_tts.randomness import CallRandomness
from stateless_tts.voice import Clip

NOBODY = Clip("nobody.wav", b"", "")


def job(cache_bytes: int = 1, expires_at: float | None = None) -> Job:
    return Job(SpeechRequest("x"), NOBODY, torch.zeros(1, 1), CallRandomness(0), cache_bytes, None, expires_at)


def accepted(ledger: Ledger, *jobs: Job) -> None:
    for one in jobs:
        ledger.accept(one, block=False, timeout=None)
        assert ledger.next_to_prepare() is one
        ledger.prepared(one)


def test_the_batch_is_bounded_by_count_and_bytes() -> None:
    ledger = Ledger(most_unfinished=9, max_batch_size=2, max_cache_bytes=10)
    small, large, third = job(4), job(7), job(1)
    accepted(ledger, small, large, third)
    assert ledger.next_to_decode(wait=False) is small
    assert ledger.next_to_decode(wait=False) is None  # nobody overtakes the one that waits for memory
    ledger.spoken(small)
    assert ledger.next_to_decode(wait=False) is large
    assert ledger.next_to_decode(wait=False) is third
    assert ledger.occupancy().reserved_cache_bytes == 8
    assert ledger.next_to_render() is small


def test_a_place_is_free_again_only_when_a_job_has_ended() -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    first = job()
    accepted(ledger, first)
    with pytest.raises(QueueFullError):
        ledger.accept(job(), block=False, timeout=None)
    ledger.end(first, RuntimeError("first"))
    ledger.end(first, RuntimeError("second"))
    assert str(first.future.exception(timeout=0)) == "first"
    ledger.accept(job(), block=False, timeout=None)


def test_a_cancelled_job_leaves_every_line_at_once() -> None:
    ledger = Ledger(most_unfinished=3, max_batch_size=1, max_cache_bytes=None)
    waiting, ready, decoding = job(), job(), job(5)
    accepted(ledger, decoding, ready)
    assert ledger.next_to_decode(wait=False) is decoding
    ledger.accept(waiting, block=False, timeout=None)
    assert all(one.future.cancel() for one in (waiting, ready, decoding))
    assert ledger.occupancy().unfinished == 0
    assert ledger.occupancy().reserved_cache_bytes == 5  # until its cache is really gone
    ledger.left_batch(decoding)
    assert ledger.occupancy().reserved_cache_bytes == 0


def test_deadlines_end_jobs_wherever_they_are() -> None:
    ledger = Ledger(most_unfinished=2, max_batch_size=1, max_cache_bytes=None)
    late, early = job(expires_at=time.monotonic() - 1), job(expires_at=time.monotonic() + 60)
    accepted(ledger, late, early)
    ledger.expire()
    assert isinstance(late.future.exception(timeout=0), DeadlineExceededError)
    assert not early.future.done()
    assert ledger.next_to_decode(wait=False) is early


def test_a_deadline_beyond_what_a_thread_can_wait_is_waited_for() -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    ledger.accept(job(expires_at=time.monotonic() + 1e10), block=True, timeout=1e10)
    threading.Timer(0.05, ledger.stop).start()
    assert ledger.next_to_decode(wait=True) is None
    assert ledger.wait_until_idle(1e10)
    ledger = Ledger(most_unfinished=0, max_batch_size=1, max_cache_bytes=None)
    threading.Timer(0.05, ledger.close).start()
    with pytest.raises(EngineClosedError):
        ledger.accept(job(), block=True, timeout=1e10)


@pytest.mark.parametrize("outcome", ["cancelled", "late"])
def test_who_keeps_the_future_keeps_no_job(outcome: str) -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    one = job()
    future, alive = one.future, weakref.ref(one)
    accepted(ledger, one)
    if outcome == "cancelled":
        future.cancel()
    else:
        ledger.end(one, one.overdue())
    del one
    assert future.done()
    assert alive() is None


def test_a_stopped_ledger_ends_everything() -> None:
    ledger = Ledger(most_unfinished=2, max_batch_size=1, max_cache_bytes=None)
    one = job()
    accepted(ledger, one)
    ledger.stop()
    assert one.future.cancelled()
    assert ledger.next_to_prepare() is None
    assert ledger.next_to_decode(wait=True) is None
    assert ledger.next_to_render() is None
    with pytest.raises(EngineClosedError):
        ledger.accept(job(), block=True, timeout=None)


def test_a_deadline_runs_while_a_place_is_waited_for() -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    accepted(ledger, job())
    with pytest.raises(DeadlineExceededError):
        ledger.accept(job(expires_at=time.monotonic() + 0.05), block=True, timeout=30)
    with pytest.raises(QueueFullError, match=r"within timeout=0\.05 s"):
        ledger.accept(job(expires_at=time.monotonic() + 30), block=True, timeout=0.05)
    assert ledger.occupancy().unfinished == 1


def test_a_callback_that_waits_for_the_others_does_not_wait_for_who_called_it() -> None:
    ledger = Ledger(most_unfinished=2, max_batch_size=1, max_cache_bytes=None)
    first, second = job(), job()
    accepted(ledger, first, second)
    idle: list[bool] = []
    for one in (first, second):
        one.future.add_done_callback(lambda _: idle.append(ledger.wait_until_idle(5.0)))
    ledger.stop()
    assert idle == [True, True]
    assert all(one.future.cancelled() for one in (first, second))


def three_whose_callbacks_raise(raised: type[BaseException]) -> tuple[Ledger, tuple[Job, ...]]:
    ledger = Ledger(most_unfinished=3, max_batch_size=1, max_cache_bytes=None)
    jobs = (job(), job(), job())
    accepted(ledger, *jobs)

    def fail(_: object) -> None:
        raise raised

    for one in jobs:
        one.future.add_done_callback(fail)
    return ledger, jobs


@pytest.mark.parametrize("raised", [SystemExit, RuntimeError])
def test_a_callback_that_raises_ends_nobody_elses_request(
    raised: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    ledger, jobs = three_whose_callbacks_raise(raised)
    ledger.end(jobs[0], ValueError("its own"))
    ledger.stop()
    assert all(one.future.done() for one in jobs)
    assert "callback" in caplog.text


def test_an_interruption_waits_until_every_job_has_ended() -> None:
    ledger, jobs = three_whose_callbacks_raise(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        ledger.stop()
    assert all(one.future.cancelled() for one in jobs)


def test_who_waits_for_a_cancelled_future_is_told_although_a_callback_left() -> None:
    ledger, jobs = three_whose_callbacks_raise(SystemExit)
    ledger.stop()
    done, waiting = wait([one.future for one in jobs], timeout=0)
    assert (len(done), waiting) == (3, set())


def test_a_second_interruption_leaves_no_future_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come between the decision, which nobody takes twice, and the future's outcome."""
    ledger = Ledger(most_unfinished=9, max_batch_size=9, max_cache_bytes=None)
    jobs = [job(), job()]
    accepted(ledger, *jobs)
    conclude, interruptions = Job.conclude, [KeyboardInterrupt(), KeyboardInterrupt()]

    def interrupted(one: Job, outcome: Any) -> None:  # noqa: ANN401 - passed on
        if interruptions:
            raise interruptions.pop()
        conclude(one, outcome)

    monkeypatch.setattr(Job, "conclude", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ledger.stop()
    assert all(one.future.cancelled() for one in jobs)


def test_a_forked_process_has_no_threads_to_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    monkeypatch.setattr("os.getpid", lambda: -1)
    with pytest.raises(EngineFailedError, match="expected an engine made after the fork"):
        ledger.accept(job(), block=True, timeout=None)


def test_who_comes_after_a_failure_is_told_of_it() -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    ledger.stop(lambda: EngineFailedError("a thread has died"))
    ledger.close()
    with pytest.raises(EngineFailedError, match="a thread has died"):
        ledger.accept(job(), block=False, timeout=None)
