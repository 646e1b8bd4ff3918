"""Voice conversion: stock's bits, and a target voice that is passed on instead of being stored on the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from stateless_tts import (
    ConversionRequest,
    InvalidClipError,
    InvalidParameterError,
    MissingVoiceError,
    SpeechRequest,
    StatelessChatterBoxWrapper,
)
from stateless_tts.synthetic import build_chatterbox
from tests.families.contract import Subject, subject, touched_by, wrong_from_threads, wrong_sequentially

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def case(clips: tuple[Path, ...]) -> Subject:
    return subject(
        "vc",
        (
            ConversionRequest(clips[2], seed=0),
            ConversionRequest(clips[2], clips[0], seed=1),
            ConversionRequest(clips[0], clips[2], seed=2),
            ConversionRequest(str(clips[0]), str(clips[1]), seed=-3),
        ),
    )


def test_sequential_results_are_stocks(case: Subject) -> None:
    assert not wrong_sequentially(case)


def test_concurrent_results_are_stocks(case: Subject) -> None:
    assert not wrong_from_threads(case, 8)


def test_calls_write_nothing_that_is_shared(case: Subject) -> None:
    assert not touched_by(case, case.requests)


def test_convert_takes_upstreams_arguments_and_a_seed(case: Subject, clips: tuple[Path, ...]) -> None:
    assert torch.equal(case.wrapper.convert(clips[2], clips[0], 1), case.wanted[1])
    voice = case.wrapper.prepare_voice(clips[0])
    assert torch.equal(case.wrapper.convert(clips[2], target_voice_path=voice, seed=1), case.wanted[1])
    result = case.wrapper.synthesize(ConversionRequest(clips[0]))
    again = case.wrapper.convert(clips[0], seed=result.seed)
    assert torch.equal(again, result.audio)
    assert result.speech_tokens.shape == (25,), "a second of speech"


def test_bad_input_is_refused(case: Subject, wrapper: StatelessChatterBoxWrapper, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="a ChatterboxVC speaks no text"):
        case.wrapper.generate_stateless("Hello.")
    with pytest.raises(InvalidClipError, match="does not exist"):
        case.wrapper.convert(tmp_path / "absent.wav")
    with pytest.raises(InvalidParameterError, match="audio=None: expected the path"):
        ConversionRequest(None)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="target_voice_path=3"):
        ConversionRequest("a.wav", 3)  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="seed='1'"):
        ConversionRequest("a.wav", seed="1")  # type: ignore[arg-type]
    with pytest.raises(InvalidParameterError, match="a ChatterboxTTS converts no recording"):
        wrapper.convert(tmp_path / "absent.wav")


def test_a_target_voice_is_no_speaking_voice(
    case: Subject, wrapper: StatelessChatterBoxWrapper, clips: tuple[Path, ...]
) -> None:
    voice = case.wrapper.prepare_voice(clips[0])
    with pytest.raises(InvalidParameterError, match="no speaker embedding"):
        wrapper.synthesize(SpeechRequest("Hello.", voice))


def test_without_a_target_there_is_no_voice(clips: tuple[Path, ...]) -> None:
    model = build_chatterbox("vc")
    model.ref_dict = None
    with pytest.raises(MissingVoiceError, match="target_voice_path=None"):
        StatelessChatterBoxWrapper(model).convert(clips[2])
