"""The voice cache encodes once, stays within its bytes, and hides no failure."""

from __future__ import annotations

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import InvalidParameterError, StatelessChatterBoxWrapper, Voice
from stateless_tts.voice import VoiceCache

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

THREADS = 16


def _voice(floats: int = 100) -> Voice:
    """Return a voice of 4 * `floats` bytes."""
    empty = torch.empty(0)
    return Voice(torch.zeros(floats), None, empty, empty, empty, empty)


def test_sixteen_callers_at_once_encode_once() -> None:
    cache = VoiceCache(10_000)
    everyone_asks = threading.Barrier(THREADS)
    encodings = []
    may_finish = threading.Event()

    def encode() -> Voice:
        encodings.append(threading.get_ident())
        assert may_finish.wait(10)
        return _voice()

    def ask() -> Voice:
        everyone_asks.wait(10)
        return cache.get("a", encode)

    with ThreadPoolExecutor(THREADS) as pool:
        futures = [pool.submit(ask) for _ in range(THREADS)]
        may_finish.set()
        voices = {id(future.result(10)) for future in futures}
    assert len(encodings) == 1
    assert len(voices) == 1


def test_a_failed_encoding_reaches_its_waiters_and_is_tried_again() -> None:
    cache = VoiceCache(10_000)

    def fail() -> Voice:
        raise RuntimeError("broken clip")

    with pytest.raises(RuntimeError, match="broken clip"):
        cache.get("a", fail)
    voice = _voice()
    assert cache.get("a", lambda: voice) is voice


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt])
def test_what_stops_the_encoding_thread_stops_no_other(stop: type[BaseException]) -> None:
    cache = VoiceCache(10_000)
    is_encoding, may_stop = threading.Event(), threading.Event()
    voice = _voice()

    def be_stopped() -> Voice:
        is_encoding.set()
        assert may_stop.wait(10)
        raise stop

    def ask() -> None:
        with pytest.raises(stop):
            cache.get("a", be_stopped)

    with ThreadPoolExecutor(3) as pool:
        stopped = pool.submit(ask)
        assert is_encoding.wait(10)
        waiting = [pool.submit(cache.get, "a", lambda: voice) for _ in range(2)]
        may_stop.set()
        stopped.result(10)
        assert [future.result(10) for future in waiting] == [voice, voice]


class _InterruptedLock:
    """A lock whose first holder is interrupted just after letting go."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_due = True

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._is_due:
            self._is_due = False
            raise KeyboardInterrupt


def test_an_interrupt_before_encoding_leaves_nobody_waiting() -> None:
    cache = VoiceCache(10_000)
    cache._lock = _InterruptedLock()  # type: ignore[assignment] # all that the cache does with it is enter it
    with pytest.raises(KeyboardInterrupt):
        cache.get("a", _voice)
    with ThreadPoolExecutor(1) as pool:
        assert not cache._under_way
        assert pool.submit(cache.get, "a", _voice).result(10) is cache.get("a", _voice)


def test_a_cancellation_that_encoding_raises_is_raised() -> None:
    cache = VoiceCache(10_000)

    def fail() -> Voice:
        raise CancelledError("of something else")

    with pytest.raises(CancelledError, match="of something else"):
        cache.get("a", fail)


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
