"""The fast flow is near stock's, on a view that leaves S3Gen as it is."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from stateless_tts import Voice
from stateless_tts.engine import can_pack
from stateless_tts.engine._fast_flow import (
    _QUERIES_AT_A_TIME,
    FastCausalConv,
    FastResnetBlock,
    FastTransformerBlock,
    _attention,
    fast_s3gen,
    has_fast_bfloat16,
    has_packed_float32,
    with_fast_flow,
)
from stateless_tts.engine._fast_vocoder import with_fast_vocoder
from stateless_tts.engine.chains import ChainedEstimator
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
LEAST_DECIBELS = {torch.float32: 90.0, torch.bfloat16: 30.0}
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 0.05}
packs_bfloat16 = pytest.mark.skipif(
    not can_pack(torch.device("cpu"), torch.bfloat16), reason="oneDNN has no bfloat16 products on this machine"
)
both_dtypes = pytest.mark.parametrize(
    "dtype", [torch.float32, pytest.param(torch.bfloat16, marks=packs_bfloat16)], ids=["float32", "bfloat16"]
)


def mel(s3gen: S3Gen, model: ChatterboxTTS | ChatterboxTurboTTS) -> torch.Tensor:
    tokens = torch.randint(0, 6561, (20,), generator=torch.Generator().manual_seed(3))
    return render_mel(s3gen, tokens, Voice.from_conditionals(model.conds), CallRandomness(5))


@both_dtypes
@pytest.mark.usefixtures("by")
def test_the_mel_is_near_stocks_and_the_same_every_time(model: ChatterboxTTS, dtype: torch.dtype) -> None:
    stock, fast = mel(model.s3gen, model), mel(with_fast_flow(model.s3gen, dtype), model)
    noise = (stock - fast).pow(2).sum()
    assert noise > 0
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS[dtype]
    assert torch.equal(mel(with_fast_flow(model.s3gen, dtype), model), fast)
    assert torch.equal(mel(model.s3gen, model), stock)


@both_dtypes
@pytest.mark.usefixtures("by")
def test_turbos_two_steps_stay_near_stocks(dtype: torch.dtype) -> None:
    turbo = build_chatterbox("turbo")
    assert turbo.s3gen.meanflow
    stock, fast = mel(turbo.s3gen, turbo), mel(with_fast_flow(turbo.s3gen, dtype), turbo)
    noise = (stock - fast).pow(2).sum()
    assert noise > 0
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS[dtype]


@both_dtypes
@pytest.mark.usefixtures("by")
def test_two_rows_at_a_time_have_the_bits_of_one_after_the_other(model: ChatterboxTTS, dtype: torch.dtype) -> None:
    assert torch.get_num_threads() == 1  # half of two, as the other's
    one_by_one = mel(with_fast_vocoder(with_fast_flow(model.s3gen, dtype)), model)
    assert torch.equal(mel(fast_s3gen(model.s3gen, dtype, 2), model), one_by_one)


@both_dtypes
def test_s3gen_keeps_its_modules(by: str, model: ChatterboxTTS, dtype: torch.dtype) -> None:
    before = list(map(id, model.s3gen.modules()))
    view = with_fast_flow(model.s3gen, dtype)
    assert list(map(id, model.s3gen.modules())) == before
    assert view.mel2wav is model.s3gen.mel2wav
    kinds = [type(module) for module in view.modules()]
    if by == "units":
        assert kinds.count(ChainedEstimator) == 1
        return
    for kind in (FastTransformerBlock, FastResnetBlock, *([FastCausalConv] if dtype is torch.bfloat16 else [])):
        assert kinds.count(kind) > 1


@both_dtypes
def test_a_block_is_the_block_it_replaces(model: ChatterboxTTS, dtype: torch.dtype) -> None:
    resnet, (block, *_) = model.s3gen.flow.decoder.estimator.mid_blocks[0]
    frames = torch.randn(2, 30, block.norm1.normalized_shape[0], generator=torch.Generator().manual_seed(1))
    near = partial(torch.testing.assert_close, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    with torch.inference_mode():
        near(FastTransformerBlock(block, dtype)(frames), block(frames))
        channels, mask = frames.transpose(1, 2).contiguous(), torch.ones(2, 1, 30)
        time = torch.randn(2, resnet.mlp[1].in_features, generator=torch.Generator().manual_seed(2))
        expected = resnet(channels, mask, time)
        near(FastResnetBlock(resnet, dtype)(channels, mask, time), expected)


@both_dtypes
def test_attention_is_attention(dtype: torch.dtype) -> None:
    frames, heads, head_dim = _QUERIES_AT_A_TIME + 44, 2, 64
    noise = torch.randn(3, 2, frames, heads, head_dim, generator=torch.Generator().manual_seed(4))
    noise[0] /= 8
    queries, keys, values = noise.to(dtype).double().transpose(2, 3)
    expected = nn.functional.scaled_dot_product_attention(queries, keys, values, scale=1.0).transpose(1, 2)
    with torch.inference_mode():
        attended = _attention(noise.to(dtype).permute(1, 2, 0, 3, 4).flatten(2), heads)
    assert attended.dtype is dtype
    near = partial(torch.testing.assert_close, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])
    near(attended.double(), expected.flatten(2))


def test_only_cpus_are_asked(model: ChatterboxTTS) -> None:
    del model
    assert not has_fast_bfloat16(torch.device("cuda"))
    assert not has_packed_float32(torch.device("cuda"))
