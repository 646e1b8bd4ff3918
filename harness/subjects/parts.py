"""T3 alone, and S3Gen alone: the part as it is, with a small companion in place of the other part.

Every contestant then runs its own whole path, and what it takes is the part's. Stock, wrapper and engine need no
entry of their own for it. The companion's share is small only beside a part of real size. Behind T3 it has a vocoder of
its own: one with all of upstream's layers takes 0.2 to 1 s for an utterance however few channels it has, most of it for
oneDNN to prepare its kernels for another length, while an engine's T3 among sixteen takes 2.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.s3gen import S3Gen
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest

WHOLE, T3_ALONE, S3GEN_ALONE = "whole", "t3", "s3gen"
PARTS = (WHOLE, T3_ALONE, S3GEN_ALONE)
# What has no cells: each stage by itself, how near the engine's rendering is to stock's, and the open loop.
STAGES, FIDELITY, ARRIVALS = "stages", "fidelity", "arrivals"
EXTRAS = (STAGES, FIDELITY, ARRIVALS)
_CHANNELS = 16  # of the least vocoder


def model_of_part(part: str, model: ChatterboxTTS, companion: ChatterboxTTS) -> ChatterboxTTS:
    """Return a model that shares the measured part with `model` and takes the other from `companion`."""
    mixed = copy.copy(model)
    if part == T3_ALONE:
        mixed.s3gen = with_least_vocoder(companion.s3gen)
    elif part == S3GEN_ALONE:
        mixed.t3 = companion.t3
    return mixed


def with_least_vocoder(s3gen: S3Gen) -> S3Gen:
    """Return a view of `s3gen` with upstream's vocoder of very few layers and channels; the same one each time."""
    import torch  # noqa: PLC0415 - a command line is checked without it
    from chatterbox.models.s3gen.const import S3GEN_SR  # noqa: PLC0415
    from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor  # noqa: PLC0415
    from chatterbox.models.s3gen.hifigan import HiFTGenerator  # noqa: PLC0415

    from stateless_tts.private import with_private  # noqa: PLC0415

    view = with_private(s3gen, [])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        vocoder = HiFTGenerator(
            base_channels=_CHANNELS,
            sampling_rate=S3GEN_SR,
            upsample_rates=[2],  # and the hop make as many samples of a frame as upstream's three rates and hop of 4
            upsample_kernel_sizes=[4],
            istft_params={"n_fft": 960, "hop_len": 240},
            resblock_kernel_sizes=[3],
            resblock_dilation_sizes=[[1]],
            source_resblock_kernel_sizes=[3],
            source_resblock_dilation_sizes=[[1]],
            f0_predictor=ConvRNNF0Predictor(cond_channels=_CHANNELS),
        )
    view.mel2wav = vocoder.eval().requires_grad_(requires_grad=False).to(s3gen.device)
    return view


def with_encoded_voices(requests: Sequence[SpeechRequest], model: ChatterboxTTS) -> tuple[SpeechRequest, ...]:
    """Encode every request's voice beforehand with `model`: a part alone has no voices to encode."""
    from stateless_tts import StatelessChatterBoxWrapper  # noqa: PLC0415 - imports torch

    wrapper = StatelessChatterBoxWrapper(model)
    return tuple(replace(request, audio_prompt_path=wrapper.voice_of(request)) for request in requests)
