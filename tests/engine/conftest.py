"""Sixteen different requests, and what each gives when the engine serves it alone."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import TYPE_CHECKING

import llvmlite.binding as llvm
import pytest
import torch

from harness.run.torch_threads import one_torch_thread
from stateless_tts import ContinuousBatchingEngine, SpeechRequest, SpeechResult
from stateless_tts.engine import _dense, _prompts
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine.chains import _estimator as chains_estimator
from stateless_tts.engine.chains import _vocoder as chains_vocoder
from stateless_tts.engine.machine_code import _translation
from stateless_tts.engine.units import find_units

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
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
    with one_torch_thread():
        yield


@pytest.fixture(params=["units", "oneDNN"])
def by(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Say by what S3Gen's fast layers are computed in this test."""
    way: str = request.param
    if way == "oneDNN":
        for module in (_dense, chains_estimator, chains_vocoder):
            monkeypatch.setattr(module, "find_units", lambda _: None)
    elif find_units(torch.float32) is None:
        pytest.skip("this machine has no units of ours")
    return way


@pytest.fixture(params=["no OpenMP of GNU's", "no leave to make machine code"])
def no_machine_code(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be no way to machine code of our own, for one reason or the other."""

    def refuse() -> None:
        raise OSError("this is not allowed")

    if request.param == "no OpenMP of GNU's":
        monkeypatch.setattr(_translation, "openmp", lambda: None)
    else:
        monkeypatch.setattr(llvm, "check_jit_execution", refuse)


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> weakref.WeakSet[KeyValueCache]:
    """Return the caches that are made for prompts from now on, as long as somebody holds them."""
    alive: weakref.WeakSet[KeyValueCache] = weakref.WeakSet()

    class Watched(KeyValueCache):
        def __init__(self, layers: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> None:
            super().__init__(layers)
            alive.add(self)

    monkeypatch.setattr(_prompts, "KeyValueCache", Watched)
    return alive


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
