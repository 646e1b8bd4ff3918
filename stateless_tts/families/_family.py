"""The seam: what the wrapper and the engine ask of every family."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

from stateless_tts import mel as mel_room
from stateless_tts._warm_up import fill_upstream_caches
from stateless_tts.errors import InvalidClipError, InvalidParameterError
from stateless_tts.voice import Voice, check_clip, encode_voice

if TYPE_CHECKING:
    from typing import Self

    import torch
    from chatterbox.models.s3gen import S3Gen
    from chatterbox.models.t3 import T3

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import SpeechRequest
    from stateless_tts.speech_tokens import Prompt, Sampler
    from stateless_tts.voice import Clip


class AttentionWatch(Protocol):
    """Looks at what T3 attends to while one utterance is decoded; T3 attends eagerly for it, in every layer."""

    def see(self, layer: int, weights: torch.Tensor) -> None:
        """Take the attention weights of a step, of shape (rows, heads, 1, keys), in `layer`."""
        ...


@dataclass(frozen=True, eq=False)
class Utterance:
    """All that one call decodes with.

    Attributes:
        t3: what reads: the shared T3, or a call-private view of it where upstream keeps state of a call on it.
        prompt: what T3 reads first.
        sampler: this call's.
        watch: who has to see the attention of every step, where `t3` is not what takes the steps. To `t3` itself it
            is hooked.
    """

    t3: T3
    prompt: Prompt
    sampler: Sampler
    watch: AttentionWatch | None = None


@dataclass(frozen=True, eq=False)
class Family(ABC):
    """One family of models, bound to a model. It holds nothing of a call and writes nothing to the model.

    Attributes:
        model: upstream's.
    """

    model: Any

    @property
    def s3gen(self) -> S3Gen:
        """The model's S3Gen."""
        return self.model.s3gen

    def warm_up(self) -> None:
        """Fill upstream's process-wide tables now, so that no call has to. Doing it twice changes nothing."""
        fill_upstream_caches(self.model.s3gen, getattr(self.model, "ve", None), self.model.device)

    @abstractmethod
    def default_voice(self) -> Voice | None:
        """Copy the voice that the model has now, if any."""

    def check_loudness(self, norm_loudness: bool | None) -> None:
        """Refuse a `norm_loudness` that the family does not take.

        Raises:
            InvalidParameterError: it is given.
        """
        if norm_loudness is not None:
            raise InvalidParameterError(
                f"norm_loudness={norm_loudness!r}: expected only with a ChatterboxTurboTTS, not with a "
                f"{type(self.model).__name__}"
            )

    def encode_voice(self, clip: Clip, *, norm_loudness: bool | None = None) -> Voice:  # noqa: ARG002 - Turbo takes it
        """Prepare the voice of `clip`; `norm_loudness` is one that `check_loudness` lets pass.

        Raises:
            InvalidClipError: the family can make no voice of the clip.
        """
        check_clip(clip)
        return self._encode(clip)

    def render(self, spoken: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        """Return the mel spectrogram, of shape (1, 80, frames), of `spoken`, of shape (tokens,)."""
        return mel_room.render_mel(self.s3gen, self.readable(spoken), voice, randomness)

    @abstractmethod
    def readable(self, spoken: torch.Tensor) -> torch.Tensor:
        """Return what S3Gen is given of the tokens `spoken`, of shape (tokens,)."""

    @abstractmethod
    def _encode(self, clip: Clip) -> Voice: ...


class SpeakingFamily(Family):
    """A family that speaks text."""

    def default_voice(self) -> Voice | None:
        """Copy the voice that the model has now, if any."""
        return None if self.model.conds is None else Voice.from_conditionals(self.model.conds)

    def over(self, t3: T3) -> Self:
        """Return this family over `t3`, such as a cast copy of the model's own; all else stays the model's."""
        model = copy.copy(self.model)
        model.t3 = t3
        return replace(self, model=model)

    @abstractmethod
    def rows(self, request: SpeechRequest) -> int:
        """Return how many rows T3 reads for `request`: 2 with an unconditional one, else 1."""

    @abstractmethod
    def check(self, request: SpeechRequest) -> None:
        """Refuse what this family does not take.

        Raises:
            InvalidParameterError: the message names the parameter and what would be accepted.
        """

    @abstractmethod
    def tokenize(self, request: SpeechRequest) -> torch.Tensor:
        """Return the tokens of the request's text, int64 of shape (1, tokens) on the model's device.

        Raises:
            InvalidParameterError: the text has more tokens than the model can read.
        """

    @abstractmethod
    def begin(
        self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor, randomness: CallRandomness
    ) -> Utterance:
        """Prepare the decoding of one utterance."""

    def readable(self, spoken: torch.Tensor) -> torch.Tensor:
        """Return what S3Gen is given of the tokens `spoken`, of shape (tokens,)."""
        return mel_room.readable_tokens(spoken)

    def _encode(self, clip: Clip) -> Voice:
        return encode_voice(self.model, clip)


def refuse(request: SpeechRequest, name: str, taker: str, family: str) -> None:
    """Raise if `request` gives the parameter `name`, which only `taker` takes."""
    value = getattr(request, name)
    if value is not None:
        raise InvalidParameterError(f"{name}={value!r}: expected only with a {taker}; a {family} model takes none")


def require_longer(clip: Clip, lasts: float, seconds: float) -> None:
    """Raise if `clip`, which lasts `lasts` seconds, is not longer than `seconds`."""
    if lasts <= seconds:
        raise InvalidClipError(
            f"reference clip {clip.name!r} lasts {lasts:.3f} s; expected more than {seconds:g} s for Turbo"
        )
