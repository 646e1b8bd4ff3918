"""How large a synthetic ChatterBox is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """Sizes of upstream's classes; what is not named here keeps upstream's own size.

    T3's width is not among them: upstream's `Perceiver` fixes it at 1024. Nor is the number of heads: the multilingual
    family's alignment analyser reads head 15, so the heads are made narrow instead.
    """

    name: str
    t3_layers: int
    t3_intermediate: int
    multilingual_layers: int
    multilingual_intermediate: int
    multilingual_head_dim: int
    turbo_layers: int
    turbo_intermediate: int
    turbo_text_tokens: int
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
    multilingual_layers=14,
    multilingual_intermediate=64,
    multilingual_head_dim=16,
    turbo_layers=2,
    turbo_intermediate=256,
    turbo_text_tokens=512,
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
