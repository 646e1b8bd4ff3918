"""The public surface is small, and changes on purpose only."""

from __future__ import annotations

import stateless_tts


def test_public_names_are_these() -> None:
    assert sorted(stateless_tts.__all__) == [
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
    assert all(hasattr(stateless_tts, name) for name in stateless_tts.__all__)
