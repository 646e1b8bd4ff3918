"""The fast vocoder says what stock's does, but for rounding, on a view that leaves S3Gen as it is."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from torch import nn

from stateless_tts.engine._fast_vocoder import FastUpsampling, FastVocoderBlock, with_fast_vocoder
from stateless_tts.engine.chains import ChainedVocoderBlock
from stateless_tts.engine.units.matrix import matrix_units
from stateless_tts.randomness import CallRandomness
from stateless_tts.waveform import vocode

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS

# Signal to noise of the waveform, for the same mel spectrogram and noise. By oneDNN it is near what float32 can hold,
# 99 dB; by units of AMX, which keep 16 bits of a number, 87.
LEAST_DECIBELS = {"oneDNN": 90.0, "units": 90.0 if matrix_units(torch.float32) is None else 80.0}


def waveform(s3gen: S3Gen) -> torch.Tensor:
    mel = torch.randn(1, 80, 40, generator=torch.Generator().manual_seed(1)) * 2 - 5
    return vocode(s3gen, mel, CallRandomness(5))


def test_the_waveform_is_stocks_but_for_rounding(by: str, model: ChatterboxTTS) -> None:
    stock, fast = waveform(model.s3gen), waveform(with_fast_vocoder(model.s3gen))
    noise = (stock - fast).pow(2).sum()
    assert stock.abs().max() > 0.01
    assert 10 * torch.log10(stock.pow(2).sum() / noise) > LEAST_DECIBELS[by]
    assert torch.equal(waveform(with_fast_vocoder(model.s3gen)), fast)
    assert torch.equal(waveform(model.s3gen), stock)


def test_every_heavy_layer_is_replaced_on_the_view_alone(by: str, model: ChatterboxTTS) -> None:
    before = list(map(id, model.s3gen.modules()))
    view = with_fast_vocoder(model.s3gen).mel2wav
    assert list(map(id, model.s3gen.modules())) == before
    for kind in ("resblocks", "source_resblocks"):
        assert len(getattr(view, kind)) == len(getattr(model.s3gen.mel2wav, kind)) > 0
        for block, upstreams in zip(getattr(view, kind), getattr(model.s3gen.mel2wav, kind), strict=True):
            chained = by == "units" and upstreams.convs1[0].in_channels % 32 == 0
            assert isinstance(block, ChainedVocoderBlock if chained else FastVocoderBlock)
    assert len(view.ups) == len(model.s3gen.mel2wav.ups) > 0
    assert all(isinstance(layer, FastUpsampling) for layer in view.ups)
    assert view.source_downs is model.s3gen.mel2wav.source_downs


def test_a_block_is_the_block_it_replaces(model: ChatterboxTTS) -> None:
    for block in (model.s3gen.mel2wav.resblocks[1], model.s3gen.mel2wav.source_resblocks[0]):
        channels = block.convs1[0].in_channels
        samples = torch.randn(1, channels, 37, generator=torch.Generator().manual_seed(2))
        with torch.inference_mode():
            torch.testing.assert_close(FastVocoderBlock(block)(samples), block(samples), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("channels", [24, 32])  # of 32 units take care
@pytest.mark.parametrize(("width", "stride"), [(16, 8), (11, 5), (7, 3), (3, 3)])
def test_an_upsampling_is_the_convolution_it_replaces(width: int, stride: int, channels: int) -> None:
    convolution = nn.ConvTranspose1d(channels, channels, width, stride, padding=(width - stride) // 2)
    for count in (1, 2, 37):
        frames = torch.randn(1, channels, count, generator=torch.Generator().manual_seed(count))
        with torch.inference_mode():
            torch.testing.assert_close(FastUpsampling(convolution)(frames), convolution(frames), rtol=1e-4, atol=2e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="asks glibc what is allocated")
def test_a_new_length_of_audio_leaves_no_memory_behind() -> None:
    # On a CPU with AVX512, oneDNN keeps 150 MiB for these lengths of the convolution itself.
    assert kept_mib(FastUpsampling(nn.ConvTranspose1d(128, 64, 7, 3, padding=2))) < 2


def kept_mib(upsampling: nn.Module) -> float:
    """Return what is allocated more after five lengths of about 4 s of audio at full size, MiB."""
    with torch.inference_mode():
        before = allocated_mib()
        for count in range(7000, 7005):
            upsampling(torch.zeros(1, 128, count))
        return allocated_mib() - before


def allocated_mib() -> float:
    class Mallinfo(ctypes.Structure):
        names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
        _fields_ = [(name, ctypes.c_size_t) for name in names.split()]

    mallinfo2 = ctypes.CDLL(None).mallinfo2
    mallinfo2.restype = Mallinfo
    seen = mallinfo2()
    return float(seen.uordblks + seen.hblkhd) / 2**20
