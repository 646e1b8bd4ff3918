"""What a job raises ends that job; the worker goes on."""

from __future__ import annotations

import threading
import weakref

import torch

from stateless_tts import SpeechRequest
from stateless_tts.engine._job import Job
from stateless_tts.engine._ledger import Ledger
from stateless_tts.engine._stages import work_on
from stateless_tts.randomness import CallRandomness
from stateless_tts.voice import Clip

NOBODY = Clip("nobody.wav", b"", "")


def test_a_worker_outlives_a_job_that_raises() -> None:
    ledger = Ledger(most_unfinished=3, max_batch_size=3, max_cache_bytes=None)
    texts = ("bad", "good", "gone")
    jobs = [Job(SpeechRequest(text), NOBODY, torch.zeros(1, 1), CallRandomness(0), 1) for text in texts]
    for job in jobs:
        ledger.accept(job, block=False, timeout=None)
    worked_on = []

    def work(job: Job) -> None:
        assert isinstance(job.request, SpeechRequest)
        worked_on.append(job.request.text)
        if job.request.text == "bad":
            jobs[2].future.cancel()
            raise ValueError("bad")
        ledger.stop()

    work_on(ledger, ledger.next_to_prepare, work)
    assert worked_on == ["bad", "good"]
    assert isinstance(jobs[0].future.exception(timeout=0), ValueError)
    assert jobs[1].future.cancelled()


def test_a_future_that_is_kept_keeps_nothing_of_a_job_that_failed() -> None:
    ledger = Ledger(most_unfinished=1, max_batch_size=1, max_cache_bytes=None)
    text_tokens = torch.zeros(1, 1)
    job = Job(SpeechRequest("bad"), NOBODY, text_tokens, CallRandomness(0), 1)
    future, kept = job.future, [weakref.ref(text_tokens)]
    ledger.accept(job, block=False, timeout=None)
    del job, text_tokens

    def work(job: Job) -> None:
        job.spoken = torch.ones(1)
        own = torch.ones(1)
        kept.extend([weakref.ref(job.spoken), weakref.ref(own)])
        raise ValueError("bad")

    worker = threading.Thread(target=work_on, args=(ledger, ledger.next_to_prepare, work))
    worker.start()
    assert isinstance(future.exception(timeout=30), ValueError)
    ledger.stop()
    worker.join(30)
    assert [reference() for reference in kept] == [None, None, None]
