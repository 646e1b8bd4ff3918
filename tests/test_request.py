"""A request is checked when it is made; the message names the value and what would be accepted."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stateless_tts import InvalidParameterError, SpeechRequest

REFUSED: list[tuple[str, Any]] = [
    ("text", None),
    ("text", b"bytes"),
    ("text", 3),
    ("text", ["a"]),
    ("audio_prompt_path", 3),
    ("audio_prompt_path", b"clip.wav"),
    ("text", "half a pair \ud800"),
    ("exaggeration", math.nan),
    ("exaggeration", math.inf),
    ("exaggeration", -0.1),
    ("exaggeration", "loud"),
    ("exaggeration", True),
    ("cfg_weight", -0.5),
    ("cfg_weight", math.nan),
    ("temperature", 0),
    ("temperature", -1.0),
    ("temperature", math.inf),
    ("temperature", None),
    ("repetition_penalty", 0.0),
    ("repetition_penalty", math.nan),
    ("min_p", 1.01),
    ("min_p", -0.01),
    ("top_p", 1.5),
    ("top_p", math.nan),
    ("max_new_tokens", 0),
    ("max_new_tokens", 4097),
    ("max_new_tokens", 10.0),
    ("max_new_tokens", True),
    ("seed", 2**64),
    ("seed", -(2**63) - 1),
    ("seed", 1.5),
    ("seed", "1"),
    ("seed", True),
]


@pytest.mark.parametrize(("name", "value"), REFUSED)
def test_refused_values_are_named(name: str, value: object) -> None:
    arguments: dict[str, Any] = {"text": "Hello.", name: value}
    with pytest.raises(InvalidParameterError, match="expected") as refusal:
        SpeechRequest(**arguments)
    assert f"{name}={value!r}" in str(refusal.value)


def test_numbers_too_large_for_a_float_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"temperature=an integer of \d+ bits: expected"):
        SpeechRequest("Hello.", temperature=10**5000)
    with pytest.raises(InvalidParameterError, match=r"seed=an integer of \d+ bits: expected"):
        SpeechRequest("Hello.", seed=10**5000)


ACCEPTED: list[tuple[str, Any]] = [
    ("text", ""),
    ("audio_prompt_path", Path("clip.wav")),
    ("audio_prompt_path", ""),
    ("exaggeration", 0),
    ("exaggeration", np.float32(0.7)),
    ("cfg_weight", 0.0),
    ("temperature", 1),
    ("min_p", 0.0),
    ("min_p", 1),
    ("top_p", 0.0),
    ("max_new_tokens", np.int64(4096)),
    ("seed", 2**64 - 1),
    ("seed", -(2**63)),
    ("seed", np.int64(7)),
]


@pytest.mark.parametrize(("name", "value"), ACCEPTED)
def test_accepted_values_are_kept_as_they_are(name: str, value: object) -> None:
    arguments: dict[str, Any] = {"text": "Hello.", name: value}
    assert getattr(SpeechRequest(**arguments), name) == value
