"""The engine's contract on a GPU, with what it asks for recorded as CUDA graphs."""

from __future__ import annotations

import gc
import time
import weakref
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from harness.subjects.stock_timed import TimedStock
from stateless_tts import ContinuousBatchingEngine, SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.engine._batched_step import batched_step
from stateless_tts.engine._service import SpeechService
from stateless_tts.engine._start_up import _made_up, prepare_decoding
from stateless_tts.engine.cuda_graphs import can_record
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._kv_cache import KeyValueCache

CUDA = torch.device("cuda")
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        not torch.cuda.is_available() or not can_record(CUDA),
        reason="needs a CUDA device that Triton compiles for: is the contract kept with recorded graphs?",
    ),
]
DTYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
ENDLESS = SpeechRequest("This one goes on and on.", seed=1, temperature=5.0, max_new_tokens=4096)


@pytest.fixture(scope="module")
def on_gpu() -> Iterator[ChatterboxTTS]:
    """Return a tiny model; cuDNN may otherwise choose kernels whose sums differ from call to call."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.backends.cudnn, "deterministic", True)
        yield build_chatterbox(device="cuda")


def some_of(sixteen: Sequence[SpeechRequest]) -> list[SpeechRequest]:
    return [replace(request, max_new_tokens=40) for request in sixteen[:8]]


@DTYPES
def test_results_depend_on_the_request_alone(
    on_gpu: ChatterboxTTS, sixteen: Sequence[SpeechRequest], dtype: torch.dtype
) -> None:
    requests = some_of(sixteen)
    with ContinuousBatchingEngine(on_gpu, dtype=dtype) as engine:
        assert not engine.plan.singly
        alone = [engine.synthesize(request) for request in requests]
        endless = engine.submit(ENDLESS)  # who comes now joins a batch
        wait_until_decoding(engine)
        together = [engine.submit(request) for request in reversed(requests)]
        for future, expected in zip(together, reversed(alone), strict=True):
            result = future.result(timeout=120)
            assert torch.equal(result.speech_tokens, expected.speech_tokens)
            assert torch.equal(result.audio, expected.audio)
        endless.cancel()  # it may have come to an end


def wait_until_decoding(engine: ContinuousBatchingEngine) -> None:
    until = time.monotonic() + 60
    while engine.occupancy().decoding < 1:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_in_float32_tokens_are_stocks_and_audio_has_its_bits(
    on_gpu: ChatterboxTTS, sixteen: Sequence[SpeechRequest]
) -> None:
    wrapper = StatelessChatterBoxWrapper(on_gpu)
    with ContinuousBatchingEngine(on_gpu) as engine:
        for request in some_of(sixteen)[:4]:
            found, wanted = engine.synthesize(request), wrapper.synthesize(request)
            assert torch.equal(found.speech_tokens, wanted.speech_tokens)
            assert torch.equal(found.audio, wanted.audio)


@DTYPES
@pytest.mark.parametrize("family", ["english", "turbo"])
def test_a_recorded_step_is_a_step(family: str, dtype: torch.dtype) -> None:
    t3 = build_chatterbox(family, device="cuda").t3
    speaking = prepare_decoding(t3, 4, dtype, pack=False, record=True)
    assert not speaking.plan.singly
    found = speaking.step([_made_up(speaking.t3, number) for number in range(4)])
    readings = [_made_up(speaking.t3, number) for number in range(4)]
    wanted = batched_step(speaking.t3, readings, speaking.plan.row_counts[-1])
    tolerance = 1e-3 if dtype is torch.float32 else 1.0
    torch.testing.assert_close(torch.cat(found), torch.cat(wanted), atol=tolerance, rtol=1e-2)


def test_cancelling_and_closing_in_the_middle_of_work_gives_memory_back(
    on_gpu: ChatterboxTTS, sixteen: Sequence[SpeechRequest], caches: weakref.WeakSet[KeyValueCache]
) -> None:
    engine = ContinuousBatchingEngine(on_gpu)
    alone = engine.synthesize(some_of(sixteen)[0])
    endless = engine.submit(ENDLESS)
    wait_until_decoding(engine)
    other = engine.submit(some_of(sixteen)[0])
    assert torch.equal(other.result(timeout=120).audio, alone.audio)
    assert endless.cancel()
    with pytest.raises(CancelledError):
        endless.result(timeout=0)
    left = [engine.submit(replace(ENDLESS, seed=seed)) for seed in range(4)]
    wait_until_decoding(engine)
    assert isinstance(engine._service, SpeechService)
    step = weakref.ref(engine._service._decoding.step)
    assert engine.close(drain=False)
    assert all(future.cancelled() for future in left)
    gc.collect()
    assert step() is None
    assert not caches


def test_a_turbo_renders_with_what_its_solver_passes() -> None:
    with ContinuousBatchingEngine(build_chatterbox("turbo", device="cuda")) as engine:
        assert engine.synthesize(SpeechRequest("Short.", seed=2, max_new_tokens=20)).audio.numel()


def test_without_graphs_bfloat16_tokens_are_stocks(on_gpu: ChatterboxTTS, sixteen: Sequence[SpeechRequest]) -> None:
    stock = TimedStock(on_gpu, torch.bfloat16)
    with ContinuousBatchingEngine(on_gpu, dtype=torch.bfloat16, cuda_graphs=False) as engine:
        assert engine.plan.like_stock
        requests = some_of(sixteen)[1:4]
        futures = [engine.submit(request) for request in requests]
        for request, future in zip(requests, futures, strict=True):
            found, wanted = future.result(timeout=120).speech_tokens, stock.say(request).tokens
            assert wanted is not None
            assert torch.equal(found, wanted.cpu())
