"""The sampler follows upstream's order of processing and keeps its state to itself."""

from __future__ import annotations

import pytest
import torch
from chatterbox.models.t3.modules.t3_config import T3Config

from stateless_tts import SamplingError, SpeechRequest
from stateless_tts.randomness import CallRandomness
from stateless_tts.speech_tokens import SpeechTokenSampler

HP = T3Config.english_only()
CPU = torch.device("cpu")


def _sampler(**arguments: float) -> SpeechTokenSampler:
    request = SpeechRequest("x", **arguments)  # type: ignore[arg-type]
    return SpeechTokenSampler(request, HP, CallRandomness(1), CPU)


def _peaked(*tokens: int, rows: int = 2) -> torch.Tensor:
    logits = torch.zeros(rows, HP.speech_tokens_dict_size)
    logits[:, list(tokens)] = 50.0
    return logits


def test_it_draws_until_the_stop_token() -> None:
    sampler = _sampler()
    assert sampler.draw(_peaked(17)).tolist() == [[17]]
    assert not sampler.finished
    sampler.draw(_peaked(HP.stop_speech_token))
    assert sampler.stopped
    assert sampler.finished
    assert sampler.speech_tokens().tolist() == [17, HP.stop_speech_token]


def test_it_draws_until_the_most_tokens() -> None:
    sampler = _sampler(max_new_tokens=2)
    sampler.draw(_peaked(1))
    sampler.draw(_peaked(2))
    assert sampler.finished
    assert not sampler.stopped


def test_guidance_moves_away_from_the_unconditional_row() -> None:
    logits = torch.zeros(2, HP.speech_tokens_dict_size)
    logits[0, 5], logits[0, 6] = 10.0, 11.0
    logits[1, 6] = 10.0
    assert _sampler(cfg_weight=0.0, temperature=0.01).draw(logits).item() == 6
    assert _sampler(cfg_weight=2.0, temperature=0.01).draw(logits).item() == 5


def test_penalty_remembers_what_this_request_said_and_no_other() -> None:
    first, second = (_sampler(repetition_penalty=3.0, temperature=0.01, cfg_weight=0.0) for _ in range(2))
    logits = torch.zeros(1, HP.speech_tokens_dict_size)
    logits[0, 8], logits[0, 9] = 10.0, 9.0
    assert first.draw(logits).item() == 8
    assert first.draw(logits).item() == 9, "8 was said before"
    assert second.draw(logits).item() == 8, "it was another request that said 8"


def test_logits_that_are_no_distribution_end_in_a_clear_error() -> None:
    with pytest.raises(SamplingError, match=r"at step 1 with temperature=0\.8"):
        _sampler().draw(torch.full((2, HP.speech_tokens_dict_size), torch.nan))


def test_nothing_drawn_gives_no_tokens() -> None:
    assert _sampler().speech_tokens().shape == (0,)
