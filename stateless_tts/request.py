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


@dataclass(frozen=True)
class SpeechRequest:
    """One utterance to speak. The parameters are those of upstream's `ChatterboxTTS.generate`.

    Args:
        text: what to say; empty text is replaced by upstream's own sentence.
        audio_prompt_path: reference clip, an already prepared `Voice`, or None for the built-in voice.
        exaggeration: emotional intensity, 0 or more; 0.5 is neutral.
        cfg_weight: classifier-free guidance, 0 or more. At 0 no unconditional row is computed (upstream's English
            model crashes there).
        temperature: above 0.
        seed: as for `torch.manual_seed`; None takes a fresh one, which the result reports.
        repetition_penalty: above 0; 1 is none.
        min_p: in [0, 1].
        top_p: in [0, 1].
        max_new_tokens: most speech tokens, 1 to 4096, at 25 per second of audio. Upstream fixes it at 1000.

    Raises:
        InvalidParameterError: a value is of the wrong type, not finite or out of range; the message names it.
    """

    text: str
    audio_prompt_path: str | os.PathLike[str] | Voice | None = None
    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.8
    seed: int | None = None
    repetition_penalty: float = 1.2
    min_p: float = 0.05
    top_p: float = 1.0
    max_new_tokens: int = 1000

    def __post_init__(self) -> None:
        if not isinstance(self.text, str):
            raise InvalidParameterError(f"text={self.text!r}: expected a str, got {type(self.text).__name__}")
        if not isinstance(self.audio_prompt_path, str | os.PathLike | Voice | None):
            raise InvalidParameterError(
                f"audio_prompt_path={self.audio_prompt_path!r}: expected a path, a Voice or None"
            )
        _check_number("exaggeration", self.exaggeration, low=0.0)
        _check_number("cfg_weight", self.cfg_weight, low=0.0)
        _check_number("temperature", self.temperature, low=0.0, low_is_allowed=False)
        _check_number("repetition_penalty", self.repetition_penalty, low=0.0, low_is_allowed=False)
        _check_number("min_p", self.min_p, low=0.0, high=1.0)
        _check_number("top_p", self.top_p, low=0.0, high=1.0)
        _check_integer("max_new_tokens", self.max_new_tokens, 1, _MAX_NEW_TOKENS)
        if self.seed is not None:
            _check_integer("seed", self.seed, *_SEED_RANGE)


@dataclass(frozen=True)
class StageSeconds:
    """Wall time of each stage of a call, in seconds."""

    voice: float
    speech_tokens: float
    mel: float
    waveform: float

    @property
    def total(self) -> float:
        """Sum over the stages, in seconds."""
        return self.voice + self.speech_tokens + self.mel + self.waveform


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


def _check_number(name: str, value: object, *, low: float, high: float = math.inf, low_is_allowed: bool = True) -> None:
    accepted = f"a finite number {'>=' if low_is_allowed else '>'} {low:g}"
    accepted += "" if math.isinf(high) else f" and <= {high:g}"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}, got {type(value).__name__}")
    number = float(value)
    in_range = low <= number <= high and (low_is_allowed or number > low)
    if not math.isfinite(number) or not in_range:
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}")


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    accepted = f"an integer from {low} to {high}"
    if not isinstance(value, numbers.Integral) or isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}, got {type(value).__name__}")
    if not low <= int(value) <= high:
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}")
