"""Kernels and stages under pytest-benchmark: `nox -s bench` saves them, `--benchmark-compare` sets runs side by side.

They assert nothing about time. What they return is checked, so that nothing is timed that does not work.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch.nn import functional

from stateless_tts import ContinuousBatchingEngine, SpeechRequest, Voice
from stateless_tts.mel import readable_tokens, render_mel
from stateless_tts.randomness import CallRandomness
from stateless_tts.waveform import vocode, watermark

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS
    from pytest_benchmark.fixture import BenchmarkFixture

    from stateless_tts import StatelessChatterBoxWrapper

# Slow as well, so that a choice of quick tests leaves them out too.
pytestmark = [pytest.mark.timed, pytest.mark.slow]

# T3's real width, and that of its feed-forward layers.
WIDTH, INTERMEDIATE = 1024, 4096
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
TOKENS = 50


@pytest.mark.benchmark(group="kernel: dense layer")
@pytest.mark.parametrize("rows", [2, 8, 32])
@pytest.mark.parametrize("dtype", DTYPES)
def test_dense_layer(benchmark: BenchmarkFixture, dtype: str, rows: int) -> None:
    """Rows of a decoding step through a dense layer: two per request."""
    weight = torch.ones(INTERMEDIATE, WIDTH, dtype=DTYPES[dtype])
    hidden = torch.ones(rows, WIDTH, dtype=DTYPES[dtype])
    result = benchmark(functional.linear, hidden, weight)
    assert result.shape == (rows, INTERMEDIATE)


@pytest.mark.benchmark(group="kernel: attention of one token")
@pytest.mark.parametrize("past", [100, 400])
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention(benchmark: BenchmarkFixture, dtype: str, past: int) -> None:
    """One new token of one request over its own past."""
    query = torch.ones(2, 16, 1, 64, dtype=DTYPES[dtype])
    keys = torch.ones(2, 16, past, 64, dtype=DTYPES[dtype])
    result = benchmark(functional.scaled_dot_product_attention, query, keys, keys)
    assert result.shape == query.shape


@pytest.mark.benchmark(group="stage: voice")
def test_voice(benchmark: BenchmarkFixture, model: ChatterboxTTS, clips: tuple[Path, ...]) -> None:
    from stateless_tts.voice import encode_voice, read_clip

    clip = read_clip(clips[0])
    assert isinstance(benchmark(encode_voice, model, clip), Voice)


@pytest.mark.benchmark(group="stage: S3Gen flow")
def test_flow(benchmark: BenchmarkFixture, wrapper: StatelessChatterBoxWrapper) -> None:
    mel = benchmark(_mel, wrapper)
    assert mel.shape == (1, 80, 2 * TOKENS)


@pytest.mark.benchmark(group="stage: vocoder")
def test_vocoder(benchmark: BenchmarkFixture, wrapper: StatelessChatterBoxWrapper) -> None:
    mel = _mel(wrapper)
    waveform = benchmark(lambda: vocode(wrapper.model.s3gen, mel, CallRandomness(1)))
    assert waveform.size(1) == TOKENS * wrapper.sr // 25


@pytest.mark.benchmark(group="stage: watermark")
def test_watermark(benchmark: BenchmarkFixture, wrapper: StatelessChatterBoxWrapper) -> None:
    waveform = torch.sin(torch.arange(2 * wrapper.sr) / 20)[None]
    marked = benchmark(watermark, wrapper.model.watermarker, waveform, wrapper.sr)
    assert marked.shape == waveform.shape


@pytest.mark.benchmark(group="four utterances")
def test_four_utterances_by_the_wrapper(benchmark: BenchmarkFixture, wrapper: StatelessChatterBoxWrapper) -> None:
    results = benchmark(lambda: [wrapper.synthesize(request) for request in _four()])
    assert len(results) == 4


@pytest.mark.benchmark(group="four utterances")
@pytest.mark.parametrize("dtype", DTYPES)
def test_four_utterances_by_the_engine(benchmark: BenchmarkFixture, model: ChatterboxTTS, dtype: str) -> None:
    with ContinuousBatchingEngine(model, dtype=DTYPES[dtype]) as engine:

        def speak() -> list[torch.Tensor]:
            futures = [engine.submit(request) for request in _four()]
            return [future.result().audio for future in futures]

        assert len(benchmark(speak)) == 4


def _four() -> list[SpeechRequest]:
    return [SpeechRequest("One more word, and then another.", seed=seed) for seed in range(4)]


def _mel(wrapper: StatelessChatterBoxWrapper) -> torch.Tensor:
    tokens = readable_tokens(torch.arange(TOKENS))
    voice = wrapper.voice_of(SpeechRequest("a"))
    return render_mel(wrapper.model.s3gen, tokens, voice, CallRandomness(1))
