"""The engine: a queue in front of one batch, and the threads that keep it moving."""

from __future__ import annotations

import threading
import time
import weakref
from typing import TYPE_CHECKING

import torch
from chatterbox.tts import ChatterboxTTS

from stateless_tts.errors import (
    EngineFailedError,
    InvalidParameterError,
    RequestTooLargeError,
    UnsupportedModelError,
)
from stateless_tts.families import SpeakingFamily
from stateless_tts.randomness import CallRandomness, fresh_seed
from stateless_tts.request import SpeechRequest, SpeechResult
from stateless_tts.wrapper import StatelessChatterBoxWrapper

from ._arguments import checked_integer, checked_integer_or_none, checked_seconds
from ._cores import Cores
from ._decoding import Decoder
from ._fast_flow import has_fast_bfloat16, has_packed_float32, with_fast_flow
from ._fast_vocoder import with_fast_vocoder
from ._halves import half_the_cores
from ._job import Job
from ._kv_cache import cache_bytes
from ._ledger import Ledger, Occupancy, waitable
from ._stages import Preparer, Renderer
from ._start_up import prepare_decoding

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from stateless_tts.voice import Voice

    from ._self_check import RowPlan

# A thread that is still in a long kernel after this is left to the interpreter.
_SECONDS_TO_END = 5.0
# With more, a single utterance's operations become too small to be shared out.
_ENOUGH_RENDER_THREADS = 4
_DTYPES = (torch.float32, torch.bfloat16)
# Every row count up to twice this is tried at start-up.
_MOST_BATCH_SIZE = 128


class ContinuousBatchingEngine:
    """Speak many requests with one shared ChatterBox, decoding them in one batch.

    Requests of any voice, seed, length and parameters join and leave the batch at every step. A result depends on its
    request alone: served alone, with others, early or late, in any order, it has the same bits. In bfloat16 the speech
    tokens are those of stock ChatterBox with ``t3.to(torch.bfloat16)``, run alone; in float32 the engine's products add
    in another order than stock's (`StatelessChatterBoxWrapper` is the path that keeps stock's float32 bits).

    Weights are read, never written; every request owns its key/value cache, position, generators and sampler.

    Args:
        model: upstream's `chatterbox.tts.ChatterboxTTS`; not written to.
        max_batch_size: most requests that decode together, 1 to 128.
        dtype: of T3: `torch.float32`, `torch.bfloat16`, or None for the model's own. If it is not the model's own, a
            cast copy of T3 is made (1.06 GB in bfloat16) and kept until the engine is closed.
        max_queue: requests accepted beyond `max_batch_size`; this many plus the batch may be unfinished.
        max_cache_bytes: most that the caches of the batch may grow to together; None for no bound. A request is
            counted with what `max_new_tokens` allows it: 491,520 bytes a token in float32 at full size.
        pack_weights: whether T3's weights may be copied into the order in which the CPU's kernels read them, which
            makes steps of few requests faster. None allows it. A cast copy is replaced by its packed one. Without a
            cast, packing takes as much memory again as T3's dense layers, once (2.05 GB in float32 at full size);
            False saves that.
        render_dtype: of the products, attention and convolutions of S3Gen's flow: `torch.float32`, or
            `torch.bfloat16` for a faster flow that is further from stock's (0.3 GB and 0.14 GB of private copies at
            full size). None follows `dtype`, on CPUs with bfloat16 instructions; elsewhere it is float32.
        exact_render: leave S3Gen to stock's own float32 kernels, which are slower: the audio then has the very
            bits of stock's for the same speech tokens. `render_dtype` must not be bfloat16.
        render_workers: utterances rendered to audio at a time; None for as many as there are cores for, with
            `render_threads` or four each.
        render_threads: cores for each of them; None shares the cores out. Decoding waits while all cores render.
        voice_cache_bytes: most bytes of prepared voices kept.

    Attributes:
        plan: what the start-up check found: the row counts that steps are padded to and the kernels used. With
            `plan.singly` this machine has no such row count, and requests decode one after the other.

    Raises:
        InvalidParameterError: an argument is out of range; the message names it.
        UnsupportedModelError: the model is no `ChatterboxTTS`.
    """

    def __init__(
        self,
        model: ChatterboxTTS,
        max_batch_size: int = 16,
        dtype: torch.dtype | None = None,
        *,
        max_queue: int = 64,
        max_cache_bytes: int | None = None,
        pack_weights: bool | None = None,
        render_dtype: torch.dtype | None = None,
        exact_render: bool = False,
        render_workers: int | None = None,
        render_threads: int | None = None,
        voice_cache_bytes: int = 256 * 2**20,
    ) -> None:
        max_batch_size = checked_integer("max_batch_size", max_batch_size, 1, _MOST_BATCH_SIZE)
        max_queue = checked_integer("max_queue", max_queue, 0)
        max_cache_bytes = checked_integer_or_none("max_cache_bytes", max_cache_bytes, 1)
        voice_cache_bytes = checked_integer("voice_cache_bytes", voice_cache_bytes, 0)
        workers, threads = _share_cores(
            checked_integer_or_none("render_workers", render_workers, 1),
            checked_integer_or_none("render_threads", render_threads, 1),
        )
        if pack_weights not in (None, True, False):
            raise InvalidParameterError(f"pack_weights={pack_weights!r}: expected None, True or False")
        self._wrapper = StatelessChatterBoxWrapper(model, voice_cache_bytes=voice_cache_bytes)
        self._family = _english(self._wrapper)
        own_dtype: torch.dtype = model.t3.speech_head.weight.dtype
        dtype = own_dtype if dtype is None else dtype
        if dtype not in _DTYPES:
            raise InvalidParameterError(f"dtype={dtype}: expected one of {', '.join(map(str, _DTYPES))}")
        self.render_dtype = _render_dtype(render_dtype, torch.float32 if exact_render else dtype, model)
        if exact_render and self.render_dtype is not torch.float32:
            raise InvalidParameterError(f"render_dtype={render_dtype}: expected torch.float32 with exact_render=True")
        speaking = prepare_decoding(model.t3, max_batch_size, dtype, pack=pack_weights is not False)
        self.plan: RowPlan = speaking.plan
        self.dtype = dtype
        self.private_weight_bytes = speaking.t3.private_bytes
        self._max_cache_bytes = max_cache_bytes
        batch_size = min(max_batch_size, self.plan.most_requests)
        self._ledger = Ledger(max_batch_size + max_queue, batch_size, max_cache_bytes)
        fast = not exact_render and has_packed_float32(torch.device(model.device))
        self._halves = half_the_cores(threads, workers) if fast else None
        s3gen = model.s3gen
        if fast:
            s3gen = with_fast_vocoder(with_fast_flow(s3gen, self.render_dtype, self._halves))
        # Where a GPU computes, nobody has to wait for cores.
        cores = Cores(torch.get_num_threads() if torch.device(model.device).type == "cpu" else 0)
        decoder = Decoder(self._ledger, speaking.t3, self.plan, cores)
        preparer = Preparer(self._ledger, self._wrapper, speaking.t3.prefill, cores)
        renderers = [Renderer(self._ledger, self._wrapper, s3gen, threads, cores) for _ in range(workers)]
        self._threads = _start(self._ledger, [decoder.run, preparer.run], renderers)
        # An engine that is forgotten, or alive when the interpreter exits, leaves no thread at work.
        self._finalizer = weakref.finalize(self, _stop_and_join, self._ledger, self._threads)

    @property
    def sr(self) -> int:
        """Sample rate of the audio, in Hz."""
        return self._wrapper.sr

    @property
    def has_default_conditions(self) -> bool:
        """Whether a request without a clip has a voice to be spoken with."""
        return self._wrapper.has_default_conditions

    def prepare_default_conditionals(
        self, wav_fpath: str | os.PathLike[str] | Voice, exaggeration: float = 0.5
    ) -> Voice:
        """Make `wav_fpath` the voice of requests that name none, as the wrapper does."""
        return self._wrapper.prepare_default_conditionals(wav_fpath, exaggeration)

    def prepare_voice(self, clip: str | os.PathLike[str] | Voice) -> Voice:
        """Return the voice of a reference clip, encoded at most once while it stays in the cache."""
        return self._wrapper.prepare_voice(clip)

    def occupancy(self) -> Occupancy:
        """Return how many requests are where at this moment."""
        return self._ledger.occupancy()

    def submit(
        self,
        request: SpeechRequest,
        *,
        block: bool = True,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Future[SpeechResult]:
        """Accept `request`; returns at once if there is a place.

        Args:
            request: what to say, and how.
            block: wait for a place if there is none.
            timeout: seconds to wait for a place; None or infinity waits for as long as it takes.
            deadline: seconds from now, more than 0, after which the request ends with `DeadlineExceededError`; None or
                infinity for no end.

        Returns:
            A future that ends in every case. It can be cancelled until it has ended: a request that is being decoded
            leaves the batch within one step. It stays ``not running()`` while the engine works on it.

        Raises:
            InvalidParameterError: the text has more tokens than T3 takes, or `timeout` or `deadline` is no such number.
            RequestTooLargeError: the request could never get the cache it may need.
            QueueFullError: there is no place, and none came in time.
            EngineClosedError: the engine is closed.
        """
        timeout = checked_seconds("timeout", timeout, zero_is_allowed=True)
        deadline = checked_seconds("deadline", deadline)
        self._family.check(request)
        text_tokens = self._family.tokenize(request)
        seed = fresh_seed() if request.seed is None else int(request.seed)
        needed = self._cache_bytes(request, text_tokens.size(1))
        if self._max_cache_bytes is not None and needed > self._max_cache_bytes:
            raise RequestTooLargeError(
                f"max_new_tokens={request.max_new_tokens} with {text_tokens.size(1)} text tokens may need {needed} "
                f"bytes of cache: expected at most max_cache_bytes={self._max_cache_bytes}"
            )
        expires_at = None if deadline is None else time.monotonic() + deadline
        job = Job(request, text_tokens, CallRandomness(seed), needed, deadline, expires_at)
        self._ledger.accept(job, block=block, timeout=timeout)
        return job.future

    def synthesize(self, request: SpeechRequest) -> SpeechResult:
        """Speak `request` and wait for the result; to be called from any number of threads.

        What interrupts the wait (`KeyboardInterrupt`) cancels the request.
        """
        future = self.submit(request)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def generate_stateless(
        self,
        text: str,
        audio_prompt_path: str | os.PathLike[str] | Voice | None = None,
        exaggeration: float = 0.5,
        cfg_weight: float = 0.5,
        temperature: float = 0.8,
        seed: int | None = None,
        *,
        language_id: str | None = None,
        repetition_penalty: float = SpeechRequest.repetition_penalty,
        min_p: float = SpeechRequest.min_p,
        top_p: float = SpeechRequest.top_p,
        top_k: int | None = None,
        max_new_tokens: int = 1000,
    ) -> torch.Tensor:
        """Speak `text` and wait, with the signature of `StatelessChatterBoxWrapper.generate_stateless`.

        Returns:
            Watermarked waveform, float32 of shape (1, samples) on the CPU, at `sr` Hz.
        """
        request = SpeechRequest(
            text=text,
            audio_prompt_path=audio_prompt_path,
            exaggeration=exaggeration,
            cfg_weight=cfg_weight,
            temperature=temperature,
            seed=seed,
            repetition_penalty=repetition_penalty,
            min_p=min_p,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            top_k=top_k,
            language_id=language_id,
        )
        return self.synthesize(request).audio

    def close(self, *, drain: bool = True, timeout: float | None = None) -> bool:
        """Accept nothing more, end every future, and let the threads and their memory go.

        Args:
            drain: finish what was accepted; otherwise, and for what is unfinished after `timeout`, cancel it.
            timeout: most seconds to wait for what was accepted, and again for the threads to end. A thread ends
                after the decoding step, the voice or the rendering stage that it is in.

        From a callback of a future, which one of the engine's own threads may run, nothing is waited for: what is
        unfinished is cancelled, and the threads end after this call.

        Returns:
            Whether all threads have ended.

        Raises:
            InvalidParameterError: `timeout` is no number of seconds.
        """
        timeout = waitable(checked_seconds("timeout", timeout, zero_is_allowed=True))
        self._ledger.close()
        # Nor may one own thread wait for another, which may be doing the same.
        if threading.current_thread() in self._threads:
            self._ledger.stop()
            return False
        if drain:
            self._ledger.wait_until_idle(timeout)
        self._ledger.stop()
        for thread in self._threads:
            thread.join(timeout)
        if self._halves is not None:
            self._halves.shutdown(wait=False)
        return not any(thread.is_alive() for thread in self._threads)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drain=kind is None)

    def _cache_bytes(self, request: SpeechRequest, text_tokens: int) -> int:
        """Return the most that the request's cache may take: prompt and all tokens it may speak."""
        t3 = self._wrapper.model.t3
        # Speaker and emotion, the resampled or plain speech prompt, two start tokens.
        conditioning = 4 + (32 if t3.hp.use_perceiver_resampler else t3.hp.speech_cond_prompt_len)
        tokens = conditioning + text_tokens + int(request.max_new_tokens)
        rows = 2 if request.cfg_weight > 0 else 1
        width = t3.cfg.num_key_value_heads * t3.tfmr.layers[0].self_attn.head_dim
        return cache_bytes(rows, tokens, len(t3.tfmr.layers), width, self.dtype)


def _start(ledger: Ledger, runs: list[Callable[[], None]], renderers: list[Renderer]) -> list[threading.Thread]:
    threads_of_caller = torch.get_num_threads()
    threads = [
        threading.Thread(target=_supervised, args=(ledger, run), name=f"stateless-tts-{index}", daemon=True)
        for index, run in enumerate([*runs, *(renderer.run for renderer in renderers)])
    ]
    for thread in threads:
        thread.start()
    for renderer in renderers:
        renderer.settled.wait()
    # A thread that sets its own number of cores also sets the number that future threads begin with.
    torch.set_num_threads(threads_of_caller)
    return threads


def _stop_and_join(ledger: Ledger, threads: list[threading.Thread]) -> None:
    ledger.stop()
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(_SECONDS_TO_END)


def _supervised(ledger: Ledger, run: Callable[[], None]) -> None:
    """Run one of the engine's threads; if it dies, every request ends with the reason."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - a request that nobody works on any more must not wait for ever
        died = error

        def reason() -> EngineFailedError:
            failure = EngineFailedError(f"an engine thread ended with {died!r}; expected it to outlive its requests")
            failure.__cause__ = died
            return failure

        ledger.stop(reason)


def _english(wrapper: StatelessChatterBoxWrapper) -> SpeakingFamily:
    """Return the family, if it is one whose steps can be batched.

    Multilingual T3 keeps attention maps of single calls, and Turbo's backbone is another one.
    """
    if not isinstance(wrapper.model, ChatterboxTTS):
        raise UnsupportedModelError(
            f"{type(wrapper.model).__name__} is not batched; expected chatterbox.tts.ChatterboxTTS "
            f"(StatelessChatterBoxWrapper serves the others)"
        )
    assert isinstance(wrapper.family, SpeakingFamily)
    return wrapper.family


def _render_dtype(dtype: torch.dtype | None, speaking: torch.dtype, model: ChatterboxTTS) -> torch.dtype:
    """Return the dtype that S3Gen's flow computes in; None follows T3's, where that is fast."""
    fast = has_fast_bfloat16(torch.device(model.device))
    if dtype not in (None, *_DTYPES) or (dtype is torch.bfloat16 and not fast):
        accepted = ", ".join(map(str, _DTYPES if fast else _DTYPES[:1]))
        raise InvalidParameterError(f"render_dtype={dtype}: expected None or one of {accepted} on this machine")
    if not fast:
        return torch.float32
    return speaking if dtype is None else dtype


def _share_cores(workers: int | None, threads: int | None) -> tuple[int, int]:
    cores = torch.get_num_threads()
    if workers is None:
        workers = max(1, cores // (threads or min(cores, _ENOUGH_RENDER_THREADS)))
    threads = max(1, cores // workers) if threads is None else threads
    return workers, threads
