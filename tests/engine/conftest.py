"""Sixteen different requests, and what each gives when the engine serves it alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import ContinuousBatchingEngine, SpeechRequest, SpeechResult

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS


@dataclass(frozen=True)
class Served:
    """An engine, and what it gave when it had one request at a time."""

    engine: ContinuousBatchingEngine
    requests: tuple[SpeechRequest, ...]
    alone: tuple[SpeechResult, ...]


@pytest.fixture(scope="session", autouse=True)
def one_core() -> Iterator[None]:
    """Keep to one core: a tiny model gains nothing from more, and a busy machine makes them wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def sixteen(clips: tuple[Path, ...]) -> tuple[SpeechRequest, ...]:
    """Return requests that differ in text, voice, seed, length and every parameter."""
    return tuple(
        SpeechRequest(
            text=" ".join(["One more word"] * (1 + index % 5)),
            audio_prompt_path=None if index % 4 == 0 else clips[index % len(clips)],
            exaggeration=0.25 * (index % 4),
            cfg_weight=0.5 if index % 5 else 0.0,
            temperature=0.6 + 0.1 * (index % 3),
            seed=1000 + index,
            repetition_penalty=1.0 + 0.1 * (index % 3),
            min_p=0.02 * (index % 3),
            top_p=1.0 if index % 2 else 0.9,
            max_new_tokens=3 + index % 7,
        )
        for index in range(16)
    )


@pytest.fixture(scope="module", params=[torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def served(
    request: pytest.FixtureRequest, model: ChatterboxTTS, sixteen: tuple[SpeechRequest, ...]
) -> Iterator[Served]:
    """Return an engine for each dtype, and every request's result served alone."""
    with ContinuousBatchingEngine(model, dtype=request.param) as engine:
        yield Served(engine, sixteen, tuple(engine.synthesize(one) for one in sixteen))
