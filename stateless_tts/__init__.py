"""Many callers, one ChatterBox, every result bit-identical to stock ChatterBox run alone."""

from __future__ import annotations

from .errors import (
    InvalidClipError,
    InvalidParameterError,
    MissingVoiceError,
    SamplingError,
    StatelessTTSError,
    UnisolatedDrawError,
    UnsupportedModelError,
)
from .request import ConversionRequest, SpeechRequest, SpeechResult, StageSeconds
from .voice import Voice
from .wrapper import StatelessChatterBoxWrapper

__all__ = [
    "ConversionRequest",
    "InvalidClipError",
    "InvalidParameterError",
    "MissingVoiceError",
    "SamplingError",
    "SpeechRequest",
    "SpeechResult",
    "StageSeconds",
    "StatelessChatterBoxWrapper",
    "StatelessTTSError",
    "UnisolatedDrawError",
    "UnsupportedModelError",
    "Voice",
]
