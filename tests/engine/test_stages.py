"""What a job raises ends that job; the worker goes on."""

from __future__ import annotations

import torch

from stateless_tts import SpeechRequest
from stateless_tts.engine._job import Job
from stateless_tts.engine._ledger import Ledger
from stateless_tts.engine._stages import work_on
from stateless_tts.randomness import CallRandomness


def test_a_worker_outlives_a_job_that_raises() -> None:
    ledger = Ledger(most_unfinished=3, max_batch_size=3, max_cache_bytes=None)
    jobs = [Job(SpeechRequest(text), torch.zeros(1, 1), CallRandomness(0), 1) for text in ("bad", "good", "gone")]
    for job in jobs:
        ledger.accept(job, block=False, timeout=None)
    worked_on = []

    def work(job: Job) -> None:
        worked_on.append(job.request.text)
        if job.request.text == "bad":
            jobs[2].future.cancel()
            raise ValueError("bad")
        ledger.stop()

    work_on(ledger, ledger.next_to_prepare, work)
    assert worked_on == ["bad", "good"]
    assert isinstance(jobs[0].future.exception(timeout=0), ValueError)
    assert jobs[1].future.cancelled()
