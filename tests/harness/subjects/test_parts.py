"""Behind T3 alone stands a vocoder that takes next to nothing, and makes as many samples as upstream's."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.subjects.parts import S3GEN_ALONE, T3_ALONE, model_of_part
from stateless_tts.engine._fast_vocoder import with_fast_vocoder

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

NO_SOURCE = torch.zeros(1, 1, 0)


@torch.inference_mode()
def test_the_least_vocoder_speaks_as_long(model: ChatterboxTTS, stock: ChatterboxTTS) -> None:
    own, drawn_before = model.s3gen.mel2wav, torch.get_rng_state()
    mixed, again = (model_of_part(T3_ALONE, stock, model) for _ in range(2))
    assert mixed.t3 is stock.t3
    assert mixed.s3gen.flow is model.s3gen.flow
    assert mixed.s3gen.mel2wav is not model.s3gen.mel2wav
    assert sum(map(torch.numel, mixed.s3gen.mel2wav.parameters())) < 100_000
    mel = torch.randn(1, 80, 60, generator=torch.Generator().manual_seed(1))
    vocoders = (own, mixed.s3gen.mel2wav, with_fast_vocoder(mixed.s3gen).mel2wav)
    assert torch.equal(torch.get_rng_state(), drawn_before)
    assert model.s3gen.mel2wav is own
    whole, *least = (one.inference(speech_feat=mel, cache_source=NO_SOURCE)[0] for one in vocoders)
    assert all(one.shape == whole.shape and one.isfinite().all() for one in least)
    weights = zip(mixed.s3gen.mel2wav.parameters(), again.s3gen.mel2wav.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)


def test_the_parts_are_taken_from_where_they_belong(model: ChatterboxTTS, stock: ChatterboxTTS) -> None:
    mixed = model_of_part(S3GEN_ALONE, stock, model)
    assert mixed.s3gen is stock.s3gen
    assert mixed.t3 is model.t3
