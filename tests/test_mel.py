"""S3Gen reads valid tokens alone, and its tables are not lengthened for others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import SamplingError
from stateless_tts.mel import readable_tokens, render_mel
from stateless_tts.randomness import CallRandomness

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import StatelessChatterBoxWrapper


def test_start_stop_and_invalid_tokens_are_dropped() -> None:
    for twice, message in (([6561, 3, 6561, 4], "begin 2 times"), ([3, 6562, 6562], "end 2 times")):
        with pytest.raises(SamplingError, match=message):
            readable_tokens(torch.tensor(twice))
    assert readable_tokens(torch.tensor([3, 7000, 4, 6560, 6562])).tolist() == [3, 4, 6560]
    with pytest.raises(SamplingError, match=r"nothing that can be heard .*6562"):
        readable_tokens(torch.tensor([6562]))


def test_an_input_longer_than_any_before_leaves_the_position_tables_alone(
    model: ChatterboxTTS, wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...]
) -> None:
    tables = [model.s3gen.flow.encoder.embed.pos_enc, model.s3gen.flow.encoder.up_embed.pos_enc]
    held = [table.pe for table in tables]
    originals = [table.pe for table in tables]
    try:
        for table in tables:
            table.pe = table.pe[:, 4990:5009]  # a table for ten positions, so that every input is longer
        short = [table.pe for table in tables]
        voice = wrapper.prepare_voice(clips[2])
        mel = render_mel(model.s3gen, torch.arange(12), voice, CallRandomness(1))
        assert all(table.pe is kept for table, kept in zip(tables, short, strict=True))
    finally:
        for table, original in zip(tables, originals, strict=True):
            table.pe = original
    wanted = render_mel(model.s3gen, torch.arange(12), voice, CallRandomness(1))
    assert torch.equal(mel, wanted)
    assert all(table.pe is kept for table, kept in zip(tables, held, strict=True))
