"""The seam between the engine and the families: how requests are admitted, and what carries them out until rendering.

Speaking families decode in one batch. What differs between them is theirs: `begin` makes all that one utterance
decodes with, and T3's backbone decides how a step is computed. Voice conversion decodes nothing.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from stateless_tts.errors import InvalidParameterError, RequestTooLargeError
from stateless_tts.families import SpeakingFamily, VoiceConversionFamily, converting, read_recording, speaking
from stateless_tts.randomness import CallRandomness, fresh_seed
from stateless_tts.request import ConversionRequest, SpeechRequest

from ._backbone import backbone_of
from ._decoding import Decoder
from ._job import Job
from ._kv_cache import cache_bytes
from ._prompts import Beginnings
from ._self_check import RowPlan
from ._stages import Listener, Preparer
from ._start_up import prepare_decoding

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from stateless_tts.voice import Clip, Voice
    from stateless_tts.wrapper import StatelessChatterBoxWrapper

    from ._cores import Cores
    from ._ledger import Ledger

# Of English voices 33 at full size, 68 in bfloat16, of Turbo, which listens to its voice for longer, 3; what follows
# them goes first.
_MOST_BYTES_OF_BEGINNINGS = 256 * 2**20


class Service(ABC):
    """What the engine asks of a family.

    Attributes:
        plan: how steps are computed.
        private_weight_bytes: memory of weights that are not the model's own.
    """

    plan: RowPlan
    private_weight_bytes: int

    @abstractmethod
    def admit(self, request: SpeechRequest | ConversionRequest, deadline: float | None) -> Job:
        """Check `request` before anything is done for it, and make it a job.

        Raises:
            StatelessTTSError: the request is none for this model, or it could never be carried out.
        """

    @abstractmethod
    def runs(self, ledger: Ledger, cores: Cores) -> list[Callable[[], None]]:
        """Return what the threads do that bring jobs from acceptance to rendering, and keep their deadlines."""


class SpeechService(Service):
    """Speaks text: prompts are prepared one by one, and decode together.

    Args:
        wrapper: over the model.
        family: the model's.
        max_batch_size: most requests to decode together.
        dtype: of T3.
        pack: whether T3's weights may be copied into the order in which a kernel reads them.
        record: whether steps are recorded as a CUDA graph.
        max_cache_bytes: most cache that one request may need; None for no bound.
    """

    def __init__(
        self,
        wrapper: StatelessChatterBoxWrapper,
        family: SpeakingFamily,
        max_batch_size: int,
        dtype: torch.dtype,
        *,
        pack: bool,
        record: bool,
        max_cache_bytes: int | None,
    ) -> None:
        self._wrapper = wrapper
        self._max_cache_bytes = max_cache_bytes
        self._dtype = dtype
        self._decoding = prepare_decoding(
            family.model.t3, max_batch_size, dtype, pack=pack, record=record, max_cache_bytes=max_cache_bytes
        )
        self._family = family.over(self._decoding.t3)
        self.plan = self._decoding.plan
        self.private_weight_bytes = self._decoding.private_bytes

    def admit(self, request: SpeechRequest | ConversionRequest, deadline: float | None) -> Job:
        """Tokenize the text, read the clip as it is now, and refuse what could never get the cache it may need."""
        if isinstance(request, ConversionRequest):
            converting(self._wrapper.family, request)  # refuses
        if not isinstance(request, SpeechRequest):
            raise InvalidParameterError(f"request={request!r}: expected a SpeechRequest")
        self._family.check(request)
        text_tokens = self._family.tokenize(request)
        needed = self.cache_bytes(request, text_tokens.size(1))
        if self._max_cache_bytes is not None and needed > self._max_cache_bytes:
            raise RequestTooLargeError(
                f"max_new_tokens={request.max_new_tokens} with {text_tokens.size(1)} text tokens may need {needed} "
                f"bytes of cache: expected at most max_cache_bytes={self._max_cache_bytes}"
            )
        return _job(request, self._wrapper.reference_of(request), text_tokens, needed, deadline)

    def runs(self, ledger: Ledger, cores: Cores) -> list[Callable[[], None]]:
        """Decoding, which also keeps the deadlines, and preparation."""
        beginnings = None if self._decoding.read is None else Beginnings(_MOST_BYTES_OF_BEGINNINGS)
        decoder = Decoder(ledger, self._decoding, cores, beginnings)
        return [decoder.run, Preparer(ledger, self._wrapper, self._family, cores).run]

    def cache_bytes(self, request: SpeechRequest, text_tokens: int) -> int:
        """Return the most that the request's cache may take: prompt and all tokens it may speak."""
        t3 = self._family.model.t3
        backbone = backbone_of(t3)
        # Speaker and emotion, the resampled or plain speech prompt, two start tokens.
        conditioning = 4 + (32 if t3.hp.use_perceiver_resampler else t3.hp.speech_cond_prompt_len)
        tokens = conditioning + text_tokens + int(request.max_new_tokens)
        width = backbone.heads * backbone.head_dim
        return cache_bytes(self._family.rows(request), tokens, backbone.layers, width, self._dtype)


class ConversionService(Service):
    """Converts recordings: each is listened to on its own, and goes on to rendering."""

    def __init__(self, wrapper: StatelessChatterBoxWrapper, family: VoiceConversionFamily) -> None:
        self._wrapper = wrapper
        self._family = family
        self.plan = RowPlan({}, (), singly=False, like_stock=True)  # nothing is decoded
        self.private_weight_bytes = 0

    def admit(self, request: SpeechRequest | ConversionRequest, deadline: float | None) -> Job:
        """Read recording and clip as they are now; later changes to the files are not seen."""
        if isinstance(request, SpeechRequest):
            speaking(self._family, request)  # refuses
        if not isinstance(request, ConversionRequest):
            raise InvalidParameterError(f"request={request!r}: expected a ConversionRequest")
        return _job(request, self._wrapper.reference_of(request), read_recording(request), 0, deadline)

    def runs(self, ledger: Ledger, cores: Cores) -> list[Callable[[], None]]:
        """Listening, and deadlines."""
        return [ledger.keep_deadlines, Listener(ledger, self._wrapper, self._family, cores).run]


def _job(
    request: SpeechRequest | ConversionRequest,
    reference: Voice | Clip,
    content: torch.Tensor | Clip,
    needed: int,
    deadline: float | None,
) -> Job:
    seed = fresh_seed() if request.seed is None else int(request.seed)
    expires_at = None if deadline is None else time.monotonic() + deadline
    return Job(request, reference, content, CallRandomness(seed), needed, deadline, expires_at)


def choose_service(
    wrapper: StatelessChatterBoxWrapper,
    max_batch_size: int,
    dtype: torch.dtype,
    *,
    pack: bool,
    record: bool,
    max_cache_bytes: int | None,
) -> Service:
    """Return how the family of the wrapper's model is served; the arguments are those of `SpeechService`."""
    family = wrapper.family
    if isinstance(family, VoiceConversionFamily):
        return ConversionService(wrapper, family)
    assert isinstance(family, SpeakingFamily)
    return SpeechService(
        wrapper, family, max_batch_size, dtype, pack=pack, record=record, max_cache_bytes=max_cache_bytes
    )
