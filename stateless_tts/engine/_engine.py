"""The engine: a queue in front of one batch, and the threads that keep it moving."""

from __future__ import annotations

import logging
import threading
import time
import traceback
import weakref
from typing import TYPE_CHECKING

import torch

from stateless_tts._calls import NamedCalls
from stateless_tts._kept_exceptions import forget_frames
from stateless_tts.errors import EngineClosedError, EngineFailedError, InvalidParameterError
from stateless_tts.wrapper import StatelessChatterBoxWrapper

from ._arguments import (
    checked_integer,
    checked_integer_or_none,
    checked_seconds,
    checked_switch,
    checked_switch_or_none,
)
from ._cores import Cores
from ._fast_flow import has_fast_bfloat16, has_packed_float32, with_fast_flow
from ._fast_vocoder import with_fast_vocoder
from ._halves import half_the_cores
from ._ledger import CLOSED, Ledger, Occupancy, waitable
from ._service import choose_service
from ._stages import Renderer
from .cuda_graphs import can_record, with_recorded_estimator

if TYPE_CHECKING:
    import os
    from collections.abc import Callable
    from concurrent.futures import Future
    from types import TracebackType
    from typing import Self

    from chatterbox.mtl_tts import ChatterboxMultilingualTTS
    from chatterbox.tts import ChatterboxTTS
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from chatterbox.vc import ChatterboxVC

    from stateless_tts.request import ConversionRequest, SpeechRequest, SpeechResult
    from stateless_tts.voice import Voice

    from ._self_check import RowPlan
    from ._service import Service

logger = logging.getLogger(__name__)

# A thread that is still in a long kernel after this is left to the interpreter.
_SECONDS_TO_END = 5.0
# With more, a single utterance's operations become too small to be shared out.
_ENOUGH_RENDER_THREADS = 4
# While it computes one, others are asked for.
_RENDERERS_OF_A_GPU = 4
_DTYPES = (torch.float32, torch.bfloat16)
# Every row count up to twice this is tried at start-up.
_MOST_BATCH_SIZE = 128
# More threads than machines have cores; with far more, OpenMP ends the process.
_MOST_RENDERERS = 1024


class ContinuousBatchingEngine(NamedCalls):
    """Speak many requests with one shared ChatterBox, decoding them in one batch.

    Requests of any voice, seed, length and parameters join and leave the batch at every step. A result depends on its
    request alone: served alone, with others, early or late, in any order, it has the same bits. In bfloat16 the speech
    tokens are those of stock ChatterBox with ``t3.to(torch.bfloat16)``, run alone, unless steps are recorded
    (`cuda_graphs`); in float32 the engine adds in another order than stock (`StatelessChatterBoxWrapper` is the path
    that keeps stock's float32 bits). On a GPU bits are fixed at all only where cuDNN is deterministic
    (``torch.backends.cudnn.deterministic = True``, which is the process's, and so yours to set).

    Weights are read, never written; every request owns its key/value cache, position, generators and sampler, and
    with the multilingual model its alignment analyser. In float32, and in bfloat16 where prompts keep torch's bits so,
    keys and values of up to 256 MiB are kept of what prompts with one voice have in common.

    Voice conversion has no T3 and decodes nothing: recordings are listened to one by one, and rendered side by side.

    Args:
        model: upstream's `ChatterboxTTS`, `ChatterboxMultilingualTTS`, `ChatterboxTurboTTS` or `ChatterboxVC`; not
            written to.
        max_batch_size: most requests that decode together, 1 to 128.
        dtype: of T3: `torch.float32`, `torch.bfloat16`, or None for the model's own. If it is not the model's own, a
            cast copy of T3 is made (1.06 GB in bfloat16) and kept until the engine is closed. Without a T3, it only
            decides on `render_dtype`.
        max_queue: requests accepted beyond `max_batch_size`; this many plus the batch may be unfinished.
        max_cache_bytes: most that the caches of the batch may grow to together; None for no bound. A request is
            counted with what `max_new_tokens` allows it: 491,520 bytes a token in float32 at full size.
        pack_weights: whether T3's weights may be copied into the order in which the CPU's kernels read them, which
            makes steps faster. None allows it. A cast copy is replaced by the one in that order, but for the layers
            whose prompts need stock's own kernel (with AMX a quarter, 0.25 GB at full size). Without a cast, it takes
            as much memory again as T3's dense layers, once (2.05 GB in float32 at full size); False saves that.
        render_dtype: of the products, attention and convolutions of S3Gen's flow: `torch.float32`, or
            `torch.bfloat16` for a faster flow that is further from stock's (0.3 GB and 0.14 GB of private copies at
            full size). None follows `dtype`, on CPUs with bfloat16 instructions; elsewhere it is float32. On CPUs with
            AMX, float32 products and attention keep 16 of a number's 24 bits, as torch's float32 precision "high" does.
        exact_render: leave S3Gen to stock's own float32 kernels, which are slower: the audio then has the very
            bits of stock's for the same speech tokens, on `render_threads` cores. `render_dtype` must not be bfloat16.
            On a GPU it has them in any case.
        cuda_graphs: whether decoding steps and S3Gen's estimator are recorded as CUDA graphs; None does so on CUDA
            devices that Triton compiles for. Steps, but those of the multilingual model, then attend in a kernel of
            the engine's own, and tokens in bfloat16 are no longer stock's bit for bit (`plan.like_stock` tells). False
            asks for every operation anew, which is slower; so is a device that turns out unable to record, with a
            warning.
        render_workers: utterances rendered to audio at a time; None for as many as there are cores for, with
            `render_threads` or four each, or for four on a GPU.
        render_threads: cores for each of them; None shares the cores out, and with `exact_render` or on a GPU gives
            each rendering as many as stock has. Decoding waits while all cores render, and while a GPU is asked to.
        voice_cache_bytes: most bytes of prepared voices kept.

    Attributes:
        plan: what the start-up check found: the row counts that steps are padded to (recorded ones to the largest) and
            the kernels used. With `plan.singly` this machine has no such row count, and requests decode one after the
            other.

    Raises:
        InvalidParameterError: an argument is out of range; the message names it.
        UnsupportedModelError: the model is none of these; the message names them.
    """

    def __init__(
        self,
        model: ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS | ChatterboxVC,
        max_batch_size: int = 16,
        dtype: torch.dtype | None = None,
        *,
        max_queue: int = 64,
        max_cache_bytes: int | None = None,
        pack_weights: bool | None = None,
        render_dtype: torch.dtype | None = None,
        exact_render: bool = False,
        cuda_graphs: bool | None = None,
        render_workers: int | None = None,
        render_threads: int | None = None,
        voice_cache_bytes: int = 256 * 2**20,
    ) -> None:
        max_batch_size = checked_integer("max_batch_size", max_batch_size, 1, _MOST_BATCH_SIZE)
        max_queue = checked_integer("max_queue", max_queue, 0)
        max_cache_bytes = checked_integer_or_none("max_cache_bytes", max_cache_bytes, 1)
        voice_cache_bytes = checked_integer("voice_cache_bytes", voice_cache_bytes, 0)
        exact_render = checked_switch("exact_render", exact_render)
        pack_weights = checked_switch_or_none("pack_weights", pack_weights)
        self._wrapper = StatelessChatterBoxWrapper(model, voice_cache_bytes=voice_cache_bytes)
        own_dtype: torch.dtype = model.t3.speech_head.weight.dtype if hasattr(model, "t3") else model.s3gen.dtype
        self.dtype = own_dtype if dtype is None else dtype
        if self.dtype not in _DTYPES:
            raise InvalidParameterError(f"dtype={dtype}: expected one of {', '.join(map(str, _DTYPES))}")
        self.render_dtype = _render_dtype(
            render_dtype, torch.float32 if exact_render else self.dtype, self._wrapper.device
        )
        if exact_render and self.render_dtype is not torch.float32:
            raise InvalidParameterError(f"render_dtype={render_dtype}: expected torch.float32 with exact_render=True")
        device = self._wrapper.device
        workers, threads = _share_cores(
            checked_integer_or_none("render_workers", render_workers, 1, _MOST_RENDERERS),
            checked_integer_or_none("render_threads", render_threads, 1, _MOST_RENDERERS),
            exact=exact_render,
            on_cores=device.type == "cpu",
        )
        record = _whether_to_record(checked_switch_or_none("cuda_graphs", cuda_graphs), device)
        service = choose_service(
            self._wrapper,
            max_batch_size,
            self.dtype,
            pack=pack_weights is not False,
            record=record,
            max_cache_bytes=max_cache_bytes,
        )
        self._service: Service | None = service
        self.plan: RowPlan = service.plan
        self.private_weight_bytes = service.private_weight_bytes
        batch_size = min(max_batch_size, self.plan.most_requests)
        self._ledger = Ledger(max_batch_size + max_queue, batch_size, max_cache_bytes)
        fast = not exact_render and has_packed_float32(device)
        self._halves = half_the_cores(threads, workers) if fast else None
        s3gen = model.s3gen
        if fast:
            s3gen = with_fast_vocoder(with_fast_flow(s3gen, self.render_dtype, self._halves))
        elif record:
            s3gen = with_recorded_estimator(s3gen, device)
        cores = Cores(torch.get_num_threads())
        renderers = [Renderer(self._ledger, self._wrapper, s3gen, threads, cores) for _ in range(workers)]
        self._threads = _start(self._ledger, service.runs(self._ledger, cores), renderers)
        # An engine that is forgotten, or alive when the interpreter exits, leaves no thread at work.
        self._finalizer = weakref.finalize(self, _stop_and_join, self._ledger, self._threads)

    @property
    def model(self) -> ChatterboxTTS | ChatterboxMultilingualTTS | ChatterboxTurboTTS | ChatterboxVC:
        """The model that is served; it is not written to."""
        return self._wrapper.model

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

    def prepare_voice(self, clip: str | os.PathLike[str] | Voice, *, norm_loudness: bool | None = None) -> Voice:
        """Return the voice of a reference clip, as the wrapper does."""
        return self._wrapper.prepare_voice(clip, norm_loudness=norm_loudness)

    def occupancy(self) -> Occupancy:
        """Return how many requests are where at this moment."""
        return self._ledger.occupancy()

    def submit(
        self,
        request: SpeechRequest | ConversionRequest,
        *,
        block: bool = True,
        timeout: float | None = None,
        deadline: float | None = None,
    ) -> Future[SpeechResult]:
        """Accept `request`; returns at once if there is a place.

        Args:
            request: what to say, and how; a `ConversionRequest` for a `ChatterboxVC`, else a `SpeechRequest`.
            block: wait for a place if there is none.
            timeout: seconds to wait for a place; None or infinity waits for as long as it takes.
            deadline: seconds from now, more than 0, after which the request ends with `DeadlineExceededError`; None or
                infinity for no end.

        Returns:
            A future that ends in every case. It can be cancelled until it has ended: a request that is being decoded
            leaves the batch within one step. It stays ``not running()`` while the engine works on it.

        Raises:
            InvalidParameterError: the model does not take this request, the text has more tokens than T3 takes, or
                `timeout` or `deadline` is no such number.
            InvalidClipError: there is nothing to listen to in the recording, or a file is missing or cannot be read.
            MissingVoiceError: the request names no clip and there is no default voice.
            RequestTooLargeError: the request could never get the cache it may need.
            QueueFullError: there is no place, and none came in time. In a callback of a future, which one of the
                engine's own threads may run, nothing is waited for: that thread may be who would make the place.
            DeadlineExceededError: the deadline passed before there was a place.
            EngineClosedError: the engine is closed.
            EngineFailedError: one of its threads has died.
        """
        timeout = checked_seconds("timeout", timeout, zero_is_allowed=True)
        deadline = checked_seconds("deadline", deadline)
        service = self._service
        if service is None:
            raise EngineClosedError(CLOSED)
        job = service.admit(request, deadline)
        self._ledger.accept(job, block=block and not self._is_own_thread(), timeout=timeout)
        return job.future

    def synthesize(self, request: SpeechRequest | ConversionRequest) -> SpeechResult:
        """Carry out `request` and wait for the result; to be called from any number of threads.

        What interrupts the wait (`KeyboardInterrupt`) cancels the request.

        Raises:
            EngineFailedError: called from one of the engine's own threads, as from a callback of a future: the result
                would be waited for by who may have to make it. `submit` is for there.
            StatelessTTSError: as from `submit`, or what ended the request.
        """
        if self._is_own_thread():
            raise EngineFailedError(
                "a callback in one of the engine's own threads waits for a result; expected submit() there"
            )
        future = self.submit(request)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, *, drain: bool = True, timeout: float | None = None) -> bool:
        """Accept nothing more, end every future, and let the threads and their memory go.

        Args:
            drain: finish what was accepted; otherwise, and for what is unfinished after `timeout`, cancel it.
            timeout: most seconds to wait for what was accepted, and again for the threads to end. A thread ends
                after the decoding step, the voice or the rendering stage that it is in.

        From a callback of a future, which one of the engine's own threads may run, nothing is waited for: what is
        unfinished is cancelled, and the threads end after this call. In a process that was forked from the engine's
        there is nothing to close.

        Returns:
            Whether all threads have ended.

        Raises:
            InvalidParameterError: `timeout` is no number of seconds.
        """
        timeout = waitable(checked_seconds("timeout", timeout, zero_is_allowed=True))
        if self._ledger.is_of_another_process:
            return False
        self._ledger.close()
        # Nor may one own thread wait for another, which may be doing the same.
        if self._is_own_thread():
            self._ledger.stop()
            return False
        if drain:
            self._ledger.wait_until_idle(timeout)
        self._ledger.stop()
        until = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            thread.join(None if until is None else max(0.0, until - time.monotonic()))
        ended = not any(thread.is_alive() for thread in self._threads)
        if self._halves is not None:
            self._halves.shutdown(wait=ended)  # nobody gives them work any more, unless somebody hangs
        if ended:
            self._service = None  # with the weights that are the engine's own
        return ended

    def _is_own_thread(self) -> bool:
        return threading.current_thread() in self._threads

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(drain=kind is None)


def _start(ledger: Ledger, runs: list[Callable[[], None]], renderers: list[Renderer]) -> list[threading.Thread]:
    threads = [
        threading.Thread(target=_supervised, args=(ledger, run), name=f"stateless-tts-{index}", daemon=True)
        for index, run in enumerate([*runs, *(renderer.run for renderer in renderers)])
    ]
    try:
        for thread in threads:
            thread.start()
    except BaseException:
        ledger.stop()
        raise
    return threads


def _stop_and_join(ledger: Ledger, threads: list[threading.Thread]) -> None:
    if ledger.is_of_another_process:
        return
    ledger.stop()
    for thread in threads:
        if thread is not threading.current_thread():
            thread.join(_SECONDS_TO_END)


def _supervised(ledger: Ledger, run: Callable[[], None]) -> None:
    """Run one of the engine's threads; if it dies, every request ends with the reason."""
    try:
        run()
    except BaseException as error:  # noqa: BLE001 - a request that nobody works on any more must not wait for ever
        logger.critical("an engine thread ended: %s", traceback.format_exc())
        forget_frames(error)  # futures keep it as their reason
        died = error

        def reason() -> EngineFailedError:
            failure = EngineFailedError(f"an engine thread ended with {died!r}; expected it to outlive its requests")
            failure.__cause__ = died
            return failure

        ledger.stop(reason)


def _render_dtype(dtype: torch.dtype | None, speaking: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the dtype that S3Gen's flow computes in; None follows T3's, where that is fast."""
    fast = has_fast_bfloat16(device)
    if dtype not in (None, *_DTYPES) or (dtype is torch.bfloat16 and not fast):
        accepted = ", ".join(map(str, _DTYPES if fast else _DTYPES[:1]))
        raise InvalidParameterError(f"render_dtype={dtype}: expected None or one of {accepted} on this machine")
    if not fast:
        return torch.float32
    return speaking if dtype is None else dtype


def _whether_to_record(wanted: bool | None, device: torch.device) -> bool:
    """Return whether CUDA graphs are recorded; None does so wherever they can be."""
    possible = can_record(device)
    if wanted and not possible:
        raise InvalidParameterError(f"cuda_graphs=True: expected None or False on {device}, or without Triton")
    return possible and wanted is not False


def _share_cores(
    workers: int | None, threads: int | None, *, exact: bool = False, on_cores: bool = True
) -> tuple[int, int]:
    """Return how many renderings there are at a time, and how many cores each has."""
    cores = torch.get_num_threads()
    if not on_cores:  # a GPU renders; the watermark is put on as stock does, and its bits may depend on the cores
        return _RENDERERS_OF_A_GPU if workers is None else workers, cores if threads is None else threads
    if exact and threads is None:
        threads = cores  # on which stock renders, and its bits may depend
    if workers is None:
        workers = max(1, cores // (threads or min(cores, _ENOUGH_RENDER_THREADS)))
    threads = max(1, cores // workers) if threads is None else threads
    return workers, threads
