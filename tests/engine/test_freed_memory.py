"""What a rendering has freed goes back to the system, not to the heap of its thread."""

from __future__ import annotations

import ctypes
import threading
from typing import TYPE_CHECKING, Any

import psutil
import pytest
import torch

from stateless_tts import ContinuousBatchingEngine, mel, waveform
from stateless_tts.engine import _freed_memory, _stages
from stateless_tts.engine._freed_memory import give_back_freed_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest

MIB = 2**20


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library is not glibc")
def test_what_another_thread_has_freed_goes_back() -> None:
    kept: list[torch.Tensor] = []
    done, leave = threading.Event(), threading.Event()

    def use_much() -> None:
        freed = []
        for _ in range(60):
            freed.append(torch.ones(MIB // 2))  # 2 MiB, of its heap
            kept.append(torch.ones(512))  # what keeps the heap from shrinking by itself
        torch.ones(8 * MIB)  # when that is freed, glibc takes ever larger pieces from heaps
        del freed
        done.set()
        leave.wait(60)

    mallopt = ctypes.CDLL(None).mallopt
    assert mallopt(-3, 32 * MIB)  # M_MMAP_THRESHOLD, as it is after a large piece was freed
    thread = threading.Thread(target=use_much)
    thread.start()
    assert done.wait(60)
    before = psutil.Process().memory_info().rss
    give_back_freed_memory()
    after = psutil.Process().memory_info().rss
    leave.set()
    thread.join()
    assert before - after > 80 * MIB
    assert all(torch.equal(one, torch.ones(512)) for one in kept)


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_freed_memory, "_trim", lambda: None)
    give_back_freed_memory()


def test_an_engine_gives_back_what_each_stage_of_a_rendering_freed(
    model: ChatterboxTTS, sixteen: tuple[SpeechRequest, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    stages: list[str] = []

    def told(stage: str, function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*given: Any) -> torch.Tensor:  # noqa: ANN401 - whatever the stage takes
            stages.append(stage)
            return function(*given)

        return call

    monkeypatch.setattr(_stages, "give_back_freed_memory", lambda: stages.append("given back"))
    monkeypatch.setattr(mel, "render_mel", told("mel", mel.render_mel))
    monkeypatch.setattr(waveform, "vocode", told("wave", waveform.vocode))
    with ContinuousBatchingEngine(model) as engine:
        engine.synthesize(sixteen[0])
    assert stages == ["mel", "given back", "wave", "given back"]
