"""Stock that tells its tokens is still stock."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from harness.subjects.parts import with_encoded_voices
from harness.subjects.stock_timed import TimedStock
from stateless_tts import SpeechRequest
from tests.stock import fresh_conditionals, stock_generate

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import StatelessChatterBoxWrapper


def test_it_says_what_stock_says_and_leaves_the_model_alone(
    stock: ChatterboxTTS, clips: tuple[Path, ...], wrapper: StatelessChatterBoxWrapper
) -> None:
    request = SpeechRequest("One more word.", clips[0], exaggeration=0.75, seed=4)
    built_in = fresh_conditionals(stock.conds)
    parts = (stock.conds, stock.t3, stock.s3gen, stock.watermarker)
    timed = TimedStock(stock)
    spoken = timed(request)
    now = (stock.conds, stock.t3, stock.s3gen, stock.watermarker)
    assert all(part is before for part, before in zip(now, parts, strict=True))
    assert torch.equal(spoken.audio, stock_generate(copy.copy(stock), built_in, request))
    result = wrapper.synthesize(request)
    assert spoken.tokens is not None
    assert torch.equal(spoken.tokens, result.speech_tokens)
    assert list(spoken.stage_seconds) == ["voice", "speech_tokens", "render", "watermark"]
    assert all(seconds > 0 for seconds in spoken.stage_seconds.values())
    # T3 alone, and a voice that was encoded beforehand, change nothing of what is said.
    said = timed.say(request).tokens
    assert said is not None
    assert torch.equal(said, result.speech_tokens)
    encoded = with_encoded_voices([request], stock)[0]
    assert torch.equal(timed(encoded).audio, spoken.audio)


def test_cast_stock_speaks(stock: ChatterboxTTS, clips: tuple[Path, ...]) -> None:
    spoken = TimedStock(stock, torch.bfloat16)(SpeechRequest("A word.", clips[0], exaggeration=0.25, seed=4))
    assert spoken.audio.isfinite().all()
    assert stock.t3.speech_head.weight.dtype is torch.float32
