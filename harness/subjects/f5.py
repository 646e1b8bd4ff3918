"""F5-TTS, stock and behind this project's streaming seam; needs the extra ``f5``.

`python -m harness audit harness.subjects.f5:upstream --out DIR`, and the same with ``stateless``.
"""

from __future__ import annotations

import random
import sys
import tempfile
from pathlib import Path

import torch
from f5_tts.infer.utils_infer import infer_batch_process
from f5_tts.model.utils import seed_everything

from harness.subject import Subject
from harness.workload.clips import draw_recipes, write_clip
from stateless_tts.f5 import F5StreamingAdapter, F5Voice, build_f5
from stateless_tts.streaming import StreamingSegment

SEED = 0
STEPS = 4
SAID = "So it was said, and so it was written."


def upstream() -> Subject:
    """One model for all threads, seeded before each call as upstream's `F5TTS.infer` does."""
    model = build_f5(SEED)
    voices = _voices()

    def call(segment: StreamingSegment) -> torch.Tensor:
        voice = voices[str(segment.voice_path)]
        seed_everything(_seed(segment))
        # Streaming, as upstream's `socket_server.py`: on the calling thread.
        chunks = infer_batch_process(
            (voice.samples, voice.sample_rate), voice.text, [segment.text], model.cfm, model.vocoder,
            progress=None, nfe_step=STEPS, device=model.device, streaming=True, chunk_size=sys.maxsize,
        )  # fmt: skip
        return torch.cat([torch.from_numpy(chunk) for chunk, _ in chunks]).unsqueeze(0)

    return Subject("f5-upstream", call, (model.cfm, model.vocoder), _segments())


def stateless() -> Subject:
    """One adapter for all threads."""
    model = build_f5(SEED)
    adapter = F5StreamingAdapter(model, _voices())

    def call(segment: StreamingSegment) -> torch.Tensor:
        result = adapter.process_segment(segment, nfe_step=STEPS)
        if result.error is not None:
            raise result.error
        assert result.audio is not None
        return result.audio

    return Subject("f5-stateless", call, (model, adapter), _segments())


def _segments() -> tuple[StreamingSegment, ...]:
    """One of them Chinese, which takes another way through upstream's tokenizer."""
    return (
        StreamingSegment(0, "Many are called.", voice_path="first", metadata={"seed": 1}),
        StreamingSegment(1, "And few of them wait for each other.", voice_path="second", metadata={"seed": 2}),
        StreamingSegment(2, "你好世界。", voice_path="first", metadata={"seed": 3}),
    )


def _seed(segment: StreamingSegment) -> int:
    return int((segment.metadata or {})["seed"])


def _voices() -> dict[str, F5Voice]:
    source = random.Random(SEED)  # noqa: S311 - reproducible, not cryptographic
    with tempfile.TemporaryDirectory(prefix="f5-") as folder:
        clips = [write_clip(recipe, Path(folder)).path for recipe in draw_recipes(source, 2)]
        return {name: F5Voice.from_clip(clip, SAID) for name, clip in zip(("first", "second"), clips, strict=True)}
