"""The fast vocoder says what stock's does, but for rounding, on a view that leaves S3Gen as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._fast_vocoder import FastVocoderBlock, with_fast_vocoder
from stateless_tts.randomness import CallRandomness
from stateless_tts.waveform import vocode

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS

# Signal to noise of the waveform, for the same mel spectrogram and noise: near what float32 can hold.
LEAST_DECIBELS = 90.0


def waveform(s3gen: S3Gen) -> torch.Tensor:
    mel = torch.randn(1, 80, 40, generator=torch.Generator().manual_seed(1)) * 2 - 5
    return vocode(s3gen, mel, CallRandomness(5))


def test_the_waveform_is_stocks_but_for_rounding(model: ChatterboxTTS) -> None:
    stock, fast = waveform(model.s3gen), waveform(with_fast_vocoder(model.s3gen))
    noise = (stock - fast).pow(2).sum()
    assert stock.abs().max() > 0.01
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS
    assert torch.equal(waveform(with_fast_vocoder(model.s3gen)), fast)
    assert torch.equal(waveform(model.s3gen), stock)


def test_every_residual_block_is_replaced_on_the_view_alone(model: ChatterboxTTS) -> None:
    before = list(map(id, model.s3gen.modules()))
    view = with_fast_vocoder(model.s3gen).mel2wav
    assert list(map(id, model.s3gen.modules())) == before
    for kind in ("resblocks", "source_resblocks"):
        blocks = getattr(view, kind)
        assert len(blocks) == len(getattr(model.s3gen.mel2wav, kind)) > 0
        assert all(isinstance(block, FastVocoderBlock) for block in blocks)
    assert view.ups is model.s3gen.mel2wav.ups


def test_a_block_is_the_block_it_replaces(model: ChatterboxTTS) -> None:
    for block in (model.s3gen.mel2wav.resblocks[1], model.s3gen.mel2wav.source_resblocks[0]):
        channels = block.convs1[0].in_channels
        samples = torch.randn(1, channels, 37, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            torch.testing.assert_close(FastVocoderBlock(block)(samples), block(samples), rtol=1e-4, atol=1e-5)
