"""Models that people do share across threads and no one here wrote, built small with seeded weights.

Each factory takes nothing and returns a `Subject`, so `python -m harness audit harness.subjects.real:whisper` works.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

import torch

from harness.subject import Subject
from harness.subjects.scratch import scratch_folder
from harness.workload.clips import draw_recipes, write_clip

SEED = 0


@dataclass(frozen=True)
class Conversion:
    """Say what `audio` says in the voice of `voice`, both paths of clips."""

    audio: str
    voice: str
    seed: int


def chatterbox_vc() -> Subject:
    """Upstream's voice conversion, seeded before each call as its users do."""
    from chatterbox.vc import ChatterboxVC  # noqa: PLC0415 - takes ten seconds to import

    from stateless_tts.synthetic import build_chatterbox  # noqa: PLC0415 - as above

    model = ChatterboxVC(build_chatterbox(family="english", profile="tiny", seed=SEED).s3gen, "cpu")
    folder = scratch_folder("conversion")
    clips = [str(write_clip(recipe, folder).path) for recipe in draw_recipes(random.Random(SEED), 3)]  # noqa: S311 - reproducible, not cryptographic

    def call(request: Conversion) -> torch.Tensor:
        torch.manual_seed(request.seed)
        wav: torch.Tensor = model.generate(request.audio, target_voice_path=request.voice)
        return wav

    requests = (Conversion(clips[0], clips[1], 1), Conversion(clips[0], clips[2], 2))
    return Subject("chatterbox-vc", call, (model,), requests)


@dataclass(frozen=True)
class Recording:
    """A log-mel spectrogram's seed, and whether Whisper samples its words."""

    seed: int
    sample: bool


class SpeechRecogniser:
    """A pipeline as people write it around one Whisper model: features, seed, `generate`."""

    def __init__(self) -> None:
        from transformers import WhisperConfig, WhisperForConditionalGeneration  # noqa: PLC0415 - slow to import

        torch.manual_seed(SEED)
        self.config = WhisperConfig(
            vocab_size=200, num_mel_bins=20, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, d_model=32, encoder_ffn_dim=32, decoder_ffn_dim=32, max_source_positions=50,
            max_target_positions=24, pad_token_id=1, bos_token_id=2, eos_token_id=3, decoder_start_token_id=2,
            begin_suppress_tokens=None, suppress_tokens=None, init_std=0.5,
        )  # fmt: skip
        self.model = WhisperForConditionalGeneration(self.config).eval()
        self.model.generation_config.max_length = 16

    def __call__(self, request: Recording) -> torch.Tensor:
        """Return token ids, (1, tokens) int64."""
        torch.manual_seed(request.seed)
        own = torch.Generator().manual_seed(request.seed)
        mel = torch.randn(1, self.config.num_mel_bins, 2 * self.config.max_source_positions, generator=own)
        with torch.no_grad():
            tokens: torch.Tensor = self.model.generate(mel, temperature=0.8 if request.sample else 0.0)
        return tokens


def whisper() -> Subject:
    """Whisper's `generate` behind a small pipeline."""
    pipeline = SpeechRecogniser()
    requests = (Recording(1, sample=True), Recording(2, sample=True), Recording(3, sample=False))
    return Subject("whisper-pipeline", pipeline, (pipeline,), requests)


def diffusion() -> Subject:
    """A diffusers UNet with one scheduler, the pair that a shared pipeline holds; noise from a generator per call."""
    from diffusers import EulerDiscreteScheduler, UNet2DModel  # noqa: PLC0415 - slow to import

    torch.manual_seed(SEED)
    unet: Any = UNet2DModel(  # type: ignore[no-untyped-call] # diffusers has no types for it

        sample_size=8, in_channels=1, out_channels=1, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"),
        layers_per_block=1,
    )  # fmt: skip
    unet.eval()
    scheduler: Any = EulerDiscreteScheduler()  # type: ignore[no-untyped-call] # as above

    def call(request: tuple[int, int]) -> torch.Tensor:
        seed, steps = request
        generator = torch.Generator().manual_seed(seed)
        scheduler.set_timesteps(steps)
        sample: torch.Tensor = torch.randn(1, 1, 8, 8, generator=generator) * scheduler.init_noise_sigma
        with torch.no_grad():
            for timestep in scheduler.timesteps:
                scaled = scheduler.scale_model_input(sample, timestep)
                sample = scheduler.step(
                    unet(scaled, timestep).sample, timestep, sample, generator=generator
                ).prev_sample
        return sample

    return Subject("diffusers-euler", call, (unet, scheduler), ((1, 3), (2, 5)))
