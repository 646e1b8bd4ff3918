"""Upstream keeps three process-wide tables that it fills on first use; they are filled at construction instead."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen import S3GEN_SR
from chatterbox.models.s3gen.s3gen import get_resampler
from chatterbox.models.s3tokenizer import S3_SR
from chatterbox.models.voice_encoder.melspec import mel_basis

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.voice_encoder import VoiceEncoder

_ATTEMPTS = 100


def fill_upstream_caches(s3gen: S3Gen, voice_encoder: VoiceEncoder | None, device: str | torch.device) -> None:
    """Fill the resampler cache and the mel tables for the model's device, so that no call has to.

    Filling one twice stores the same values again, so wrappers may be constructed side by side.
    """
    get_resampler(S3GEN_SR, S3_SR, device)
    if voice_encoder is not None:
        mel_basis(voice_encoder.hp)
    _fill_mel_tables(s3gen, device)


def _fill_mel_tables(s3gen: S3Gen, device: str | torch.device) -> None:
    """Upstream fills two dictionaries one after the other and looks at the first alone.

    A caller that comes in between gets a KeyError; the other thread is about to fill the second.
    """
    silence = torch.zeros(1, S3GEN_SR // 10, device=device)
    for attempt in range(_ATTEMPTS):
        try:
            s3gen.mel_extractor(silence)
        except KeyError:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(0.01)
        else:
            return
