"""How large a synthetic ChatterBox is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Sizes of upstream's classes; what is not named here keeps upstream's own size.

    T3's width is not among them: upstream's `Perceiver` fixes it at 1024.
    """

    name: str
    t3_layers: int
    t3_intermediate: int
    flow_encoder_width: int
    flow_encoder_blocks: int
    estimator_channels: int
    estimator_blocks: int
    estimator_mid_blocks: int
    estimator_heads: int
    vocoder_channels: int
    s3_tokenizer_width: int
    s3_tokenizer_blocks: int


TINY = Profile(
    name="tiny",
    t3_layers=2,
    t3_intermediate=256,
    flow_encoder_width=64,
    flow_encoder_blocks=1,
    estimator_channels=64,
    estimator_blocks=1,
    estimator_mid_blocks=1,
    estimator_heads=2,
    vocoder_channels=64,
    s3_tokenizer_width=64,
    s3_tokenizer_blocks=1,
)
