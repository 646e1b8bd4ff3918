"""The wrapper and the engine take their parameters by the same names, from one place."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest
import torch

from stateless_tts import (
    ContinuousBatchingEngine,
    ConversionRequest,
    SpeechRequest,
    SpeechResult,
    StageSeconds,
    StatelessChatterBoxWrapper,
    Voice,
)
from stateless_tts._calls import NamedCalls


class Recorder(NamedCalls):
    """Keeps the requests that are made of calls."""

    def __init__(self) -> None:
        self.requests: list[SpeechRequest | ConversionRequest] = []

    def synthesize(self, request: SpeechRequest | ConversionRequest) -> SpeechResult:
        self.requests.append(request)
        return SpeechResult(torch.ones(1, 3), 24_000, 0, torch.zeros(1), StageSeconds(0, 0, 0, 0))


@pytest.mark.parametrize("name", ["generate_stateless", "convert"])
def test_there_is_one_signature(name: str) -> None:
    assert getattr(StatelessChatterBoxWrapper, name) is getattr(ContinuousBatchingEngine, name)


def test_every_parameter_of_a_request_is_a_parameter_of_the_call_with_its_default() -> None:
    for call, request in (
        (NamedCalls.generate_stateless, SpeechRequest),
        (NamedCalls.convert, ConversionRequest),
    ):
        parameters = {name: value.default for name, value in inspect.signature(call).parameters.items()}
        del parameters["self"]
        wanted = {field.name: inspect.signature(request).parameters[field.name].default for field in fields(request)}
        assert parameters == wanted


def test_every_argument_reaches_the_request() -> None:
    recorder = Recorder()
    given = SpeechRequest("Hi.", "a.wav", 0.6, 0.4, 0.7, 3, 1.3, 0.1, 0.9, 7, 5, "fr")
    assert torch.equal(
        recorder.generate_stateless(**{f.name: getattr(given, f.name) for f in fields(given)}), torch.ones(1, 3)
    )
    assert torch.equal(recorder.convert("said.wav", "a.wav", 4), torch.ones(1, 3))
    assert recorder.requests == [given, ConversionRequest("said.wav", "a.wav", 4)]
    assert not isinstance(given.audio_prompt_path, Voice)
