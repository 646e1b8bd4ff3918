"""One accepted request on its way through the engine."""

from __future__ import annotations

import logging
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stateless_tts._kept_exceptions import forget_frames
from stateless_tts.errors import DeadlineExceededError

if TYPE_CHECKING:
    import torch

    from stateless_tts.families import Utterance
    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import ConversionRequest, SpeechRequest, SpeechResult
    from stateless_tts.voice import Clip, Voice

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class Job:
    """A request, the future its caller holds, and what each stage adds for the next one.

    The future stays pending until the very end, so that `Future.cancel` works at any time: a request that is being
    decoded or rendered can be cancelled like one that waits.

    Attributes:
        request: what was asked for.
        reference: the voice to speak with, or the clip to make it of, as the file was when the request was submitted.
        content: what is to be said: text tokens, int64 of shape (1, tokens), or a recording.
        randomness: the request's own generators.
        cache_bytes: the most its key/value cache may take.
        expires_at: on the monotonic clock, or None.
        voice: added by preparation.
        utterance: what to decode with; added by preparation, taken by decoding.
        spoken: speech tokens, added by decoding; of a recording, by preparation.
        ended: set once, by the ledger, when the future's outcome is decided.
        lap_seconds: wall time by stage.
    """

    request: SpeechRequest | ConversionRequest
    reference: Voice | Clip
    content: torch.Tensor | Clip
    randomness: CallRandomness
    cache_bytes: int
    allowed_seconds: float | None = None
    expires_at: float | None = None
    future: Future[SpeechResult] = field(default_factory=Future)
    voice: Voice | None = None
    utterance: Utterance | None = None
    spoken: torch.Tensor | None = None
    ended: bool = False
    lap_seconds: dict[str, float] = field(default_factory=dict)
    _lap_began: float = field(default_factory=time.perf_counter)

    def lap(self, stage: str) -> None:
        """Book the time since the last lap on `stage`, beside what it has already."""
        now = time.perf_counter()
        self.lap_seconds[stage] = self.lap_seconds.get(stage, 0.0) + now - self._lap_began
        self._lap_began = now

    def seconds_left(self) -> float | None:
        """Return the seconds until the deadline, 0 if it has passed, or None if there is none."""
        return None if self.expires_at is None else max(0.0, self.expires_at - time.monotonic())

    def overdue(self) -> DeadlineExceededError:
        """Return the exception for a request that ran out of time."""
        return DeadlineExceededError(f"deadline={self.allowed_seconds} s has passed since the request was submitted")

    def conclude(self, outcome: SpeechResult | BaseException | None) -> None:
        """Give the future its outcome: a result, an exception, or None for a cancellation.

        A caller that cancels at the same moment wins or loses as a whole.
        """
        try:
            self._decide(outcome)
        except KeyboardInterrupt:
            raise
        except BaseException:
            # `Future` does the same with an `Exception`. A callback that leaves (`sys.exit`) leaves alone.
            logger.exception("a callback of a request's future raised")

    def _decide(self, outcome: SpeechResult | BaseException | None) -> None:
        try:
            if outcome is None:
                self.future.cancel()
        finally:  # a callback that leaves shall not leave those who wait for a cancelled future behind
            running = self.future.set_running_or_notify_cancel()
        if not running:
            return
        if isinstance(outcome, BaseException):
            forget_frames(outcome)  # it lives as long as the future
            self.future.set_exception(outcome)
        else:
            assert outcome is not None
            self.future.set_result(outcome)
