"""The fast flow is near stock's, on a view that leaves S3Gen as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import Voice
from stateless_tts.engine._fast_flow import (
    FastCausalConv,
    FastTransformerBlock,
    has_fast_bfloat16,
    with_fast_flow,
)
from stateless_tts.mel import render_mel
from stateless_tts.randomness import CallRandomness
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(),  # type: ignore[no-untyped-call] # torch leaves it untyped
    reason="the fast flow is made of oneDNN's products",
)

# Signal to noise of the mel spectrogram against stock's, for the same tokens and the same noise.
LEAST_DECIBELS = 30.0


def mel(s3gen: S3Gen, model: ChatterboxTTS | ChatterboxTurboTTS) -> torch.Tensor:
    tokens = torch.randint(0, 6561, (20,), generator=torch.Generator().manual_seed(3))
    return render_mel(s3gen, tokens, Voice.from_conditionals(model.conds), CallRandomness(5))


def test_the_mel_is_near_stocks_and_the_same_every_time(model: ChatterboxTTS) -> None:
    stock, fast = mel(model.s3gen, model), mel(with_fast_flow(model.s3gen), model)
    noise = (stock - fast).pow(2).sum()
    assert noise > 0
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS
    assert torch.equal(mel(with_fast_flow(model.s3gen), model), fast)
    assert torch.equal(mel(model.s3gen, model), stock)


def test_turbos_two_steps_stay_near_stocks(model: ChatterboxTTS) -> None:
    turbo = build_chatterbox("turbo")
    assert turbo.s3gen.meanflow
    assert not model.s3gen.meanflow
    stock, fast = mel(turbo.s3gen, turbo), mel(with_fast_flow(turbo.s3gen), turbo)
    noise = (stock - fast).pow(2).sum()
    assert noise > 0
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS


def test_s3gen_keeps_its_modules(model: ChatterboxTTS) -> None:
    before = list(map(id, model.s3gen.modules()))
    view = with_fast_flow(model.s3gen)
    assert list(map(id, model.s3gen.modules())) == before
    fast = [module for module in view.modules() if isinstance(module, FastTransformerBlock | FastCausalConv)]
    assert len(fast) > 1
    assert view.mel2wav is model.s3gen.mel2wav


def test_a_block_is_the_block_it_replaces(model: ChatterboxTTS) -> None:
    (block, *_) = model.s3gen.flow.decoder.estimator.mid_blocks[0][1]
    frames = torch.randn(2, 30, block.norm1.normalized_shape[0], generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        torch.testing.assert_close(FastTransformerBlock(block)(frames), block(frames), rtol=0.05, atol=0.05)


def test_only_cpus_are_asked(model: ChatterboxTTS) -> None:
    del model
    assert not has_fast_bfloat16(torch.device("cuda"))
