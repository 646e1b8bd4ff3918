"""Processes with a model each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import torch

from harness.run.torch_threads import one_torch_thread
from harness.subjects.pool import ProcessPoolError, process_pool
from harness.subjects.source import ModelSource
from harness.subjects.stock_timed import TimedStock
from stateless_tts import SpeechRequest

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


@pytest.mark.slow
def test_it_says_what_stock_says_and_leaves_no_process(stock: ChatterboxTTS, clips: tuple[Path, ...]) -> None:
    pool = process_pool(ModelSource(), 1, 1)
    processes = [psutil.Process(pid) for pid in pool.pids]
    try:
        request = SpeechRequest("A word.", clips[0], seed=3)
        with one_torch_thread():
            expected = TimedStock(stock)(request)
        assert torch.equal(pool.speak(request).audio, expected.audio)
        with pytest.raises(ProcessPoolError, match="Error: "):
            pool.speak(SpeechRequest("A word.", Path("/no/such/clip.wav")))
        assert torch.equal(pool.speak(request).audio, expected.audio)
    finally:
        pool.close()
    assert not any(process.is_running() for process in processes)


@pytest.mark.slow
def test_a_process_without_a_model_is_told_of() -> None:
    with pytest.raises(ProcessPoolError, match="could not load its model: UsageError"):
        process_pool(ModelSource("checkpoint", checkpoint="/no/such"), 1, 1)
