"""The voice cache encodes once, stays within its bytes, and hides no failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import InvalidParameterError, StatelessChatterBoxWrapper, Voice
from stateless_tts.voice import VoiceCache

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS


def _voice(floats: int = 100) -> Voice:
    """Return a voice of 4 * `floats` bytes."""
    empty = torch.empty(0)
    return Voice(torch.zeros(floats), None, empty, empty, empty, empty)


def test_an_encoding_is_shared_and_a_failed_one_is_tried_again() -> None:
    cache = VoiceCache(10_000)

    def fail() -> Voice:
        raise RuntimeError("broken clip")

    with pytest.raises(RuntimeError, match="broken clip"):
        cache.get("a", fail)
    voice = _voice()
    assert cache.get("a", lambda: voice) is voice
    assert cache.get("a", fail) is voice


def test_least_recently_used_voices_make_room() -> None:
    cache = VoiceCache(1_000)
    voices = {name: cache.get(name, _voice) for name in "ab"}
    assert cache.get("a", _voice) is voices["a"]
    cache.get("c", _voice)  # 1,200 bytes would be kept: "b" goes, it was not used since
    assert (len(cache), cache.nbytes) == (2, 800)
    assert cache.get("a", _voice) is voices["a"]
    assert cache.get("b", _voice) is not voices["b"]


def test_a_voice_larger_than_the_cache_is_served_and_not_kept() -> None:
    cache = VoiceCache(100)
    kept = cache.get("small", lambda: _voice(10))
    cache.get("large", lambda: _voice(1000))
    assert (len(cache), cache.nbytes) == (1, 40)
    assert cache.get("small", _voice) is kept


def test_clear_forgets_and_negative_bounds_are_refused() -> None:
    cache = VoiceCache(1_000)
    cache.get("a", _voice)
    cache.clear()
    assert (len(cache), cache.nbytes) == (0, 0)
    with pytest.raises(InvalidParameterError, match="max_bytes=-1"):
        VoiceCache(-1)


def test_a_voice_goes_to_the_device_of_the_weights() -> None:
    voice = _voice()
    assert voice.on(torch.device("cpu")) is voice
    moved = voice.on(torch.device("meta"))
    assert {tensor.device.type for tensor in vars(moved).values() if tensor is not None} == {"meta"}
    assert moved.t3_prompt_tokens is None


def test_a_voice_that_is_kept_has_nothing_of_the_first_callers_autocast(
    model: ChatterboxTTS, clips: tuple[Path, ...]
) -> None:
    plain = StatelessChatterBoxWrapper(model).prepare_voice(clips[1])
    with torch.autocast("cpu", torch.bfloat16):
        voice = StatelessChatterBoxWrapper(model).prepare_voice(clips[1])
    for name, tensor in vars(plain).items():
        assert torch.equal(vars(voice)[name], tensor), name
