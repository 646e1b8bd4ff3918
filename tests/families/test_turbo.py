"""The Turbo family: stock's bits on a GPT-2 backbone, its own parameters, and a tokenizer that is left alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from stateless_tts import InvalidClipError, InvalidParameterError, SpeechRequest
from stateless_tts.synthetic import build_chatterbox, write_clip
from tests.families.contract import (
    Subject,
    stock_audio,
    subject,
    touched_by,
    wrong_from_threads,
    wrong_sequentially,
)

if TYPE_CHECKING:
    from pathlib import Path

SHORT = "Hello there."


@pytest.fixture(scope="module")
def long_clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    folder = tmp_path_factory.mktemp("turbo")
    return tuple(write_clip(folder / f"{seed}.wav", seed, seconds) for seed, seconds in ((21, 5.1), (22, 6.0)))


@pytest.fixture(scope="module")
def case(long_clips: tuple[Path, ...]) -> Subject:
    return subject(
        "turbo",
        (
            SpeechRequest(SHORT, seed=0),
            SpeechRequest(SHORT, long_clips[0], seed=1),
            SpeechRequest("A [laugh], and then — …silence: who knows? 🙂", seed=2, top_k=20, temperature=1.0),
            SpeechRequest("", long_clips[1], seed=3, top_p=0.8, repetition_penalty=1.0),
            SpeechRequest(SHORT, seed=4, top_k=0, top_p=1.0, temperature=1.4),
            SpeechRequest(SHORT, seed=5, exaggeration=0.9, cfg_weight=0.2, min_p=0.3, repetition_penalty=1.2),
        ),
    )


def test_sequential_results_are_stocks(case: Subject) -> None:
    assert not wrong_sequentially(case)


def test_concurrent_results_are_stocks(case: Subject) -> None:
    assert not wrong_from_threads(case, 8)


def test_calls_write_nothing_that_is_shared(case: Subject) -> None:
    backend = case.wrapper.model.tokenizer.backend_tokenizer
    assert not touched_by(case, case.requests[:3])
    assert backend.truncation is None
    assert backend.padding is None
    stocks = case.stock.tokenizer.backend_tokenizer
    assert stocks.truncation is not None, "stock writes here; if it no longer does, the test guards nothing"


def test_the_defaults_are_upstreams(case: Subject) -> None:
    explicit = SpeechRequest(SHORT, seed=0, top_k=1000, top_p=0.95, repetition_penalty=1.2)
    assert torch.equal(case.wrapper.synthesize(explicit).audio, case.wanted[0])
    assert not torch.equal(case.wrapper.generate_stateless(SHORT, seed=0, top_k=2), case.wanted[0])


def test_what_turbo_ignores_is_named_and_changes_nothing(case: Subject, caplog: pytest.LogCaptureFixture) -> None:
    plain = case.wrapper.generate_stateless(SHORT, seed=5)
    assert not caplog.records
    told = case.wrapper.synthesize(case.requests[5]).audio
    assert torch.equal(plain, told)
    for name, value in (("exaggeration", 0.9), ("cfg_weight", 0.2), ("min_p", 0.3)):
        assert f"{name}={value} is ignored" in caplog.text


def test_loudness_may_be_left_as_recorded(case: Subject, long_clips: tuple[Path, ...]) -> None:
    as_recorded = case.wrapper.prepare_voice(long_clips[0], norm_loudness=False)
    brought_to_level = case.wrapper.prepare_voice(long_clips[0])
    assert not torch.equal(as_recorded.prompt_mel, brought_to_level.prompt_mel)
    audio = case.wrapper.generate_stateless(SHORT, as_recorded, seed=1)
    request = SpeechRequest(SHORT, long_clips[0], seed=1)
    assert torch.equal(audio, stock_audio(case.stock, request, norm_loudness=False))


@pytest.mark.parametrize("value", [0, 1, "no", np.False_])
def test_a_loudness_that_is_no_truth_value_is_refused(
    case: Subject,
    long_clips: tuple[Path, ...],
    value: Any,  # noqa: ANN401 - a wrong one
) -> None:
    with pytest.raises(InvalidParameterError, match=r"norm_loudness=.*: expected None, True or False"):
        case.wrapper.prepare_voice(long_clips[0], norm_loudness=value)


def test_most_tokens_are_upstreams_and_one_may_ask_for_fewer(case: Subject) -> None:
    cut = case.wrapper.synthesize(SpeechRequest(SHORT, seed=0, max_new_tokens=3))
    whole = case.wrapper.synthesize(SpeechRequest(SHORT, seed=0))
    assert torch.equal(cut.speech_tokens, whole.speech_tokens[:4]), "as upstream, the first token does not count"


def test_a_text_that_is_cut_off_is_told_of(case: Subject, caplog: pytest.LogCaptureFixture) -> None:
    case.wrapper.generate_stateless("a" * 2000, seed=0, max_new_tokens=1)
    assert "cut off at 1024 tokens" in caplog.text


def test_bad_input_is_refused(case: Subject, clips: tuple[Path, ...], tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="language_id='en': expected only with a ChatterboxMultilingualTTS"):
        case.wrapper.generate_stateless(SHORT, language_id="en")
    with pytest.raises(InvalidClipError, match=r"lasts 1\.000 s; expected more than 5 s"):
        case.wrapper.generate_stateless(SHORT, clips[0])
    exactly = write_clip(tmp_path / "exactly.wav", 1, 5.0)
    with pytest.raises(InvalidClipError, match=r"lasts 5\.000 s"):
        case.wrapper.generate_stateless(SHORT, exactly)
    with pytest.raises(InvalidParameterError, match="top_k=-1: expected an integer from 0"):
        case.wrapper.generate_stateless(SHORT, top_k=-1)


def test_meanflow_is_real(case: Subject) -> None:
    assert case.wrapper.model.s3gen.meanflow
    assert not build_chatterbox("vc").s3gen.meanflow
