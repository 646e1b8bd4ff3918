"""The full-size checkpoint is upstream's on-disk format, and upstream's own loader reads it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import torch
from chatterbox.tts import ChatterboxTTS

from stateless_tts import SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import write_checkpoint
from stateless_tts.synthetic._weights import skip_random_init

if TYPE_CHECKING:
    from pathlib import Path

GIB = 2**30


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_local_reads_what_was_written(tmp_path: Path) -> None:
    if shutil.disk_usage(tmp_path).free < 8 * GIB:
        pytest.skip("needs 8 GiB of free disk for a checkpoint of upstream's real size")
    folder = write_checkpoint(tmp_path / "checkpoint", seed=3)
    assert sorted(file.name for file in folder.iterdir()) == [
        "conds.pt",
        "s3gen.safetensors",
        "t3_cfg.safetensors",
        "tokenizer.json",
        "ve.safetensors",
    ]
    with skip_random_init():  # of weights that are overwritten at once
        model = ChatterboxTTS.from_local(folder, "cpu")
    assert sum(parameter.numel() for parameter in model.t3.parameters()) > 500e6
    result = StatelessChatterBoxWrapper(model).synthesize(SpeechRequest("Hi.", seed=1, max_new_tokens=2))
    assert torch.isfinite(result.audio).all()
    shutil.rmtree(folder)
