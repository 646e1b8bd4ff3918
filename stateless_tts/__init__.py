"""Many callers, one ChatterBox, every result bit-identical to stock ChatterBox run alone."""

from __future__ import annotations

from .engine import ContinuousBatchingEngine
from .errors import (
    DeadlineExceededError,
    EngineClosedError,
    EngineFailedError,
    InvalidClipError,
    InvalidParameterError,
    MissingVoiceError,
    QueueFullError,
    RequestTooLargeError,
    SamplingError,
    StatelessTTSError,
    UnisolatedDrawError,
    UnsupportedModelError,
)
from .request import ConversionRequest, SpeechRequest, SpeechResult, StageSeconds
from .voice import Voice
from .wrapper import StatelessChatterBoxWrapper

__all__ = [
    "ContinuousBatchingEngine",
    "ConversionRequest",
    "DeadlineExceededError",
    "EngineClosedError",
    "EngineFailedError",
    "InvalidClipError",
    "InvalidParameterError",
    "MissingVoiceError",
    "QueueFullError",
    "RequestTooLargeError",
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
