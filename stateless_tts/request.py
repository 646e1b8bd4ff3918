"""What a caller asks for, and what comes back. Both are values: frozen, and passed on as they are."""

from __future__ import annotations

import math
import numbers
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import InvalidParameterError
from .voice import Voice

if TYPE_CHECKING:
    import torch

_SEED_RANGE = (-(2**63), 2**64 - 1)
# One position embedding for each speech token; upstream's T3Config.max_speech_tokens.
_MAX_NEW_TOKENS = 4096
_LARGEST_WRITTEN = 10**100
_MAX_TOP_K = 2**31 - 1


@dataclass(frozen=True)
class Sampling:
    """How speech tokens are drawn: what a request asks for, and for the rest what upstream's family defaults to."""

    repetition_penalty: float
    min_p: float
    top_p: float
    top_k: int | None = None


class EnglishDefault(float):
    """A number that nobody asked for: what English defaults to. Other families put their own in its place."""

    __slots__ = ()


ENGLISH_SAMPLING = Sampling(
    repetition_penalty=EnglishDefault(1.2), min_p=EnglishDefault(0.05), top_p=EnglishDefault(1.0)
)


@dataclass(frozen=True)
class SpeechRequest:
    """One utterance to speak. The parameters are those of upstream's `generate`.

    What a family of models does not take is refused when the request reaches it; see `stateless_tts.families`.

    Args:
        text: what to say; empty text is replaced by upstream's own sentence.
        audio_prompt_path: reference clip, an already prepared `Voice`, or None for the built-in voice.
        exaggeration: emotional intensity, 0 or more; 0.5 is neutral.
        cfg_weight: classifier-free guidance, 0 or more. At 0 no unconditional row is computed (upstream's English
            model crashes there).
        temperature: above 0.
        seed: as for `torch.manual_seed`; None takes a fresh one, which the result reports.
        repetition_penalty: above 0; 1 is none; if left out, the family's own (1.2; multilingual 2.0).
        min_p: in [0, 1]; if left out, the family's own (0.05).
        top_p: in [0, 1]; if left out, the family's own (1.0; Turbo 0.95).
        max_new_tokens: most speech tokens, 1 to 4096, at 25 per second of audio. Upstream fixes it at 1000 (Turbo: one
            more than that).
        top_k: 0 or more, 0 is none; Turbo's alone, and 1000 there if None.
        language_id: such as ``"fr"``; the multilingual family's alone, which needs it.

    Raises:
        InvalidParameterError: a value is of the wrong type, not finite or out of range; the message names it.
    """

    text: str
    audio_prompt_path: str | os.PathLike[str] | Voice | None = None
    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.8
    seed: int | None = None
    repetition_penalty: float = ENGLISH_SAMPLING.repetition_penalty
    min_p: float = ENGLISH_SAMPLING.min_p
    top_p: float = ENGLISH_SAMPLING.top_p
    max_new_tokens: int = 1000
    top_k: int | None = None
    language_id: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidParameterError(f"text={self.text!r}: expected a str, got {type(self.text).__name__}")
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidParameterError(f"text={self.text[:40]!r}: expected Unicode text, got half a surrogate pair")
        _check_voice("audio_prompt_path", self.audio_prompt_path)
        if not isinstance(self.language_id, str | None):
            raise InvalidParameterError(f"language_id={self.language_id!r}: expected a str or None")
        _check_number("exaggeration", self.exaggeration, low=0.0)
        _check_number("cfg_weight", self.cfg_weight, low=0.0)
        _check_number("temperature", self.temperature, low=0.0, low_is_allowed=False)
        _check_number("repetition_penalty", self.repetition_penalty, low=0.0, low_is_allowed=False)
        _check_number("min_p", self.min_p, low=0.0, high=1.0)
        _check_number("top_p", self.top_p, low=0.0, high=1.0)
        _check_integer("max_new_tokens", self.max_new_tokens, 1, _MAX_NEW_TOKENS)
        if self.top_k is not None:
            _check_integer("top_k", self.top_k, 0, _MAX_TOP_K)
        _check_seed(self.seed)

    def sampling(self, defaults: Sampling) -> Sampling:
        """Return how tokens are drawn for this request where a family defaults to `defaults`."""
        return Sampling(
            repetition_penalty=float(_given(self.repetition_penalty, defaults.repetition_penalty)),
            min_p=float(_given(self.min_p, defaults.min_p)),
            top_p=float(_given(self.top_p, defaults.top_p)),
            top_k=defaults.top_k if self.top_k is None else int(self.top_k),
        )


@dataclass(frozen=True)
class ConversionRequest:
    """One recording to be said in another voice. The parameters are those of upstream's `ChatterboxVC.generate`.

    Args:
        audio: path of the recording.
        target_voice_path: reference clip, an already prepared `Voice`, or None for the built-in voice.
        seed: as for `torch.manual_seed`; None takes a fresh one, which the result reports.

    Raises:
        InvalidParameterError: a value is of the wrong type or out of range; the message names it.
    """

    audio: str | os.PathLike[str]
    target_voice_path: str | os.PathLike[str] | Voice | None = None
    seed: int | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.audio, str | os.PathLike):
            raise InvalidParameterError(f"audio={self.audio!r}: expected the path of a recording")
        _check_voice("target_voice_path", self.target_voice_path)
        _check_seed(self.seed)


@dataclass(frozen=True)
class StageSeconds:
    """Wall time of each stage of a call, in seconds.

    Attributes:
        voice, speech_tokens, mel, waveform: of the work; in an engine, steps are shared with others.
        waiting: in an engine, from its submission on: for a place in the batch, and for its turn at the cores between
            stages.
    """

    voice: float
    speech_tokens: float
    mel: float
    waveform: float
    waiting: float = 0.0

    @property
    def total(self) -> float:
        """Sum over the stages and the waiting between them, in seconds."""
        return self.voice + self.speech_tokens + self.mel + self.waveform + self.waiting


@dataclass(frozen=True)
class SpeechResult:
    """One utterance, spoken.

    Attributes:
        audio: watermarked waveform, float32 of shape (1, samples) on the CPU, as upstream returns it.
        sample_rate: in Hz.
        seed: the seed used; the same request with this seed gives the same audio, bit for bit.
        speech_tokens: what T3 said, int64 of shape (tokens,), 25 per second.
        stage_seconds: wall time per stage.
    """

    audio: torch.Tensor
    sample_rate: int
    seed: int
    speech_tokens: torch.Tensor
    stage_seconds: StageSeconds

    @property
    def duration(self) -> float:
        """Length of the audio in seconds."""
        return self.audio.shape[-1] / self.sample_rate


def _given(value: float, default: float) -> float:
    return default if isinstance(value, EnglishDefault) else value


def _check_voice(name: str, value: object) -> None:
    if not isinstance(value, str | os.PathLike | Voice | None):
        raise InvalidParameterError(f"{name}={value!r}: expected a path, a Voice or None")


def _check_seed(seed: object) -> None:
    if seed is not None:
        _check_integer("seed", seed, *_SEED_RANGE)


def _check_number(name: str, value: object, *, low: float, high: float = math.inf, low_is_allowed: bool = True) -> None:
    accepted = f"a finite number {'>=' if low_is_allowed else '>'} {low:g}"
    accepted += "" if math.isinf(high) else f" and <= {high:g}"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}, got {type(value).__name__}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    in_range = low <= number <= high and (low_is_allowed or number > low)
    if not math.isfinite(number) or not in_range:
        raise InvalidParameterError(f"{name}={_short(value)}: expected {accepted}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    accepted = f"an integer from {low} to {high}"
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}, got {type(value).__name__}")
    if not low <= int(value) <= high:
        raise InvalidParameterError(f"{name}={_short(value)}: expected {accepted}")


def _short(value: numbers.Real) -> str:
    """Write a number; Python refuses to write integers of more than some thousand digits."""
    if isinstance(value, int) and abs(value) >= _LARGEST_WRITTEN:
        return f"an integer of {value.bit_length()} bits"
    return repr(value)
