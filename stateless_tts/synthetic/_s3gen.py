"""S3Gen and the voice encoder out of upstream's own classes, at a chosen size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatterbox.models.s3gen import S3Gen
from chatterbox.models.s3gen.configs import CFM_PARAMS
from chatterbox.models.s3gen.const import S3GEN_SR
from chatterbox.models.s3gen.decoder import ConditionalDecoder
from chatterbox.models.s3gen.f0_predictor import ConvRNNF0Predictor
from chatterbox.models.s3gen.flow import CausalMaskedDiffWithXvec
from chatterbox.models.s3gen.flow_matching import CausalConditionalCFM
from chatterbox.models.s3gen.hifigan import HiFTGenerator
from chatterbox.models.s3gen.transformer.upsample_encoder import (
    PreLookaheadLayer,
    Upsample1D,
    UpsampleConformerEncoder,
)
from chatterbox.models.voice_encoder import VoiceEncoder
from s3tokenizer.model_v2 import AudioEncoderV2, FSQVectorQuantization

from ._weights import fill, skip_random_init

if TYPE_CHECKING:
    import torch

    from ._profile import Profile

_MEL_CHANNELS = 80


def build_s3gen(profile: Profile | None, generator: torch.Generator, *, meanflow: bool = False) -> S3Gen:
    """Return upstream's `S3Gen` on the CPU; `profile=None` keeps upstream's real size, `meanflow` is Turbo's."""
    with skip_random_init():
        s3gen = S3Gen(meanflow=meanflow)
        if profile is not None:
            _shrink_tokenizer(s3gen, profile)
            s3gen.flow = _flow(profile, meanflow=meanflow)
            s3gen.mel2wav = _vocoder(profile)
    fill(s3gen, generator)
    _tame_vocoder(s3gen.mel2wav)
    return s3gen.eval()


def build_voice_encoder(generator: torch.Generator) -> VoiceEncoder:
    """Return upstream's `VoiceEncoder` on the CPU, at its own size (1.4 M parameters)."""
    with skip_random_init():
        encoder = VoiceEncoder()
    fill(encoder, generator, gain=2.0)
    return encoder.eval()


def _shrink_tokenizer(s3gen: S3Gen, profile: Profile) -> None:
    config, tokenizer = s3gen.tokenizer.config, s3gen.tokenizer
    # Upstream's rotary table is 64 wide: one head for every 64 channels.
    heads = profile.s3_tokenizer_width // 64
    tokenizer.encoder = AudioEncoderV2(
        config.n_mels, profile.s3_tokenizer_width, heads, profile.s3_tokenizer_blocks, 2, config.use_sdpa
    )
    tokenizer.quantizer = FSQVectorQuantization(profile.s3_tokenizer_width, config.n_codebook_size)


def _flow(profile: Profile, *, meanflow: bool = False) -> CausalMaskedDiffWithXvec:
    width = profile.flow_encoder_width
    encoder = UpsampleConformerEncoder(
        input_size=width,
        output_size=width,
        attention_heads=2,
        linear_units=2 * width,
        num_blocks=profile.flow_encoder_blocks,
    )
    # These three upstream sizes by constants, whatever the arguments say.
    encoder.pre_lookahead_layer = PreLookaheadLayer(channels=width, pre_lookahead_len=3)
    encoder.up_layer = Upsample1D(channels=width, out_channels=width, stride=2)
    encoder.up_encoders = encoder.up_encoders[: profile.flow_encoder_blocks]
    estimator = ConditionalDecoder(
        in_channels=4 * _MEL_CHANNELS,
        out_channels=_MEL_CHANNELS,
        channels=[profile.estimator_channels],
        attention_head_dim=profile.estimator_channels // profile.estimator_heads,
        n_blocks=profile.estimator_blocks,
        num_mid_blocks=profile.estimator_mid_blocks,
        num_heads=profile.estimator_heads,
        meanflow=meanflow,
    )
    decoder = CausalConditionalCFM(spk_emb_dim=_MEL_CHANNELS, cfm_params=CFM_PARAMS, estimator=estimator)
    return CausalMaskedDiffWithXvec(input_size=width, encoder=encoder, decoder=decoder)


def _vocoder(profile: Profile) -> HiFTGenerator:
    # The sizes that upstream's S3Gen passes, but for the number of channels.
    return HiFTGenerator(
        base_channels=profile.vocoder_channels,
        sampling_rate=S3GEN_SR,
        upsample_rates=[8, 5, 3],
        upsample_kernel_sizes=[16, 11, 7],
        source_resblock_kernel_sizes=[7, 7, 11],
        source_resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5], [1, 3, 5]],
        f0_predictor=ConvRNNF0Predictor(cond_channels=profile.vocoder_channels),
    )


def _tame_vocoder(vocoder: HiFTGenerator) -> None:
    """Let the pitch reach audible frequencies and keep the waveform off the limiter."""
    vocoder.f0_predictor.classifier.weight.data.mul_(100.0)
    vocoder.f0_predictor.classifier.bias.data.fill_(120.0)
    vocoder.conv_post.parametrizations.weight.original0.data.mul_(0.5)
    vocoder.conv_post.bias.data.fill_(-1.5)  # the log magnitude of the spectrum
