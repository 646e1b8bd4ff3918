"""From a mel spectrogram to a watermarked waveform: S3Gen's vocoder and the watermarker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .randomness import redirected_draws

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from perth import WatermarkerBase

    from .randomness import CallRandomness


@torch.inference_mode()
def vocode(s3gen: S3Gen, mel: torch.Tensor, randomness: CallRandomness) -> torch.Tensor:
    """Return the waveform, float of shape (1, samples), of `mel`, of shape (1, 80, frames).

    The first 40 ms are silenced and faded in, as upstream does against spill-over from the reference clip.
    """
    with redirected_draws(randomness):
        waveform, _ = s3gen.hift_inference(mel, None)
    faded: torch.Tensor = waveform.clone()
    faded[:, : len(s3gen.trim_fade)] *= s3gen.trim_fade
    return faded


@torch.inference_mode()
def watermark(watermarker: WatermarkerBase, waveform: torch.Tensor, sample_rate: int) -> torch.Tensor:
    """Return `waveform`, of shape (1, samples), with upstream's watermark, on the CPU and outside inference mode."""
    marked = watermarker.apply_watermark(waveform.squeeze(0).cpu().numpy(), sample_rate=sample_rate)
    with torch.inference_mode(mode=False):
        return torch.from_numpy(marked).unsqueeze(0)
