"""Tokens drawn together are those that each request draws on its own."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts import SamplingError, SpeechRequest
from stateless_tts.engine._joint_draws import JointDraws
from stateless_tts.randomness import CallRandomness
from stateless_tts.speech_tokens import SpeechTokenSampler

if TYPE_CHECKING:
    from collections.abc import Iterable

CPU = torch.device("cpu")
VOCABULARY, STEPS = 203, 30
HP: Any = SimpleNamespace(start_speech_token=200, stop_speech_token=201)
REQUESTS = (
    SpeechRequest("a", seed=1),
    SpeechRequest("b", seed=2, temperature=1.0, cfg_weight=0.0, min_p=0.2),
    SpeechRequest("c", seed=3, top_p=0.7, repetition_penalty=2.0),
    SpeechRequest("d", seed=1, temperature=0.3, min_p=0.0),
    SpeechRequest("e", seed=5, cfg_weight=1.5, repetition_penalty=1.0, max_new_tokens=STEPS),
)


def sampler_of(request: SpeechRequest) -> SpeechTokenSampler:
    assert request.seed is not None
    return SpeechTokenSampler(request, HP, CallRandomness(request.seed), CPU)


def logits_of(request: SpeechRequest, step: int, dtype: torch.dtype) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1000 * REQUESTS.index(request) + step)
    rows = 1 if request.cfg_weight == 0.0 else 2
    return (3 * torch.randn(rows, VOCABULARY, generator=generator)).to(dtype)


def drawn_alone(request: SpeechRequest, dtype: torch.dtype) -> list[int]:
    sampler = sampler_of(request)
    for step in range(STEPS):
        sampler.draw(logits_of(request, step, dtype))
    return sampler.speech_tokens().tolist()


def drawn_jointly(requests: Iterable[SpeechRequest], dtype: torch.dtype, places: int = 8) -> dict[str, list[int]]:
    """Draw as an engine does: the first token alone; the second request joins ten steps later."""
    draws = JointDraws(places, VOCABULARY, dtype, CPU)
    samplers = {request: sampler_of(request) for request in requests}
    begins = {request: 10 * (number == 1) for number, request in enumerate(samplers)}
    for step in range(STEPS + 10):
        speaking = [request for request in samplers if 0 <= step - begins[request] < STEPS]
        for request in speaking:
            if step == begins[request]:
                samplers[request].draw(logits_of(request, 0, dtype))
                draws.join(samplers[request])
        joint = [request for request in speaking if step > begins[request]]
        assert not joint or not draws.draw(
            [(samplers[request], logits_of(request, step - begins[request], dtype)) for request in joint]
        )
        for request in speaking:
            if step - begins[request] == STEPS - 1:
                draws.leave(samplers[request])
    return {request.text: samplers[request].speech_tokens().tolist() for request in samplers}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
def test_tokens_are_those_that_a_sampler_draws_on_its_own(dtype: torch.dtype) -> None:
    alone = {request.text: drawn_alone(request, dtype) for request in REQUESTS}
    assert drawn_jointly(REQUESTS, dtype) == alone
    assert drawn_jointly(REQUESTS[::-1], dtype) == alone  # other places, another neighbour that comes late
    assert len({tuple(tokens) for tokens in alone.values()}) == len(REQUESTS)


def test_a_place_is_as_new_for_whom_it_is_given_next() -> None:
    first = drawn_jointly(REQUESTS[:1], torch.float32, places=1)
    draws = JointDraws(1, VOCABULARY, torch.float32, CPU)
    for request in (REQUESTS[2], REQUESTS[0]):
        sampler = sampler_of(request)
        sampler.draw(logits_of(request, 0, torch.float32))
        draws.join(sampler)
        for step in range(1, STEPS):
            draws.draw([(sampler, logits_of(request, step, torch.float32))])
        draws.leave(sampler)
        assert not draws.has(sampler)
    assert first == {"a": sampler.speech_tokens().tolist()}


def test_stopping_is_seen_and_logits_that_give_no_probabilities_end_one_request_alone() -> None:
    draws = JointDraws(3, VOCABULARY, torch.float32, CPU)
    samplers = [sampler_of(request) for request in REQUESTS[:3]]
    for sampler in samplers:
        draws.join(sampler)
    stopping = torch.zeros(2, VOCABULARY)
    stopping[:, HP.stop_speech_token] = 100.0
    broken = torch.full((2, VOCABULARY), float("nan"))
    sound = logits_of(REQUESTS[0], 0, torch.float32)
    failed = draws.draw(list(zip(samplers, (sound, broken, stopping), strict=True)))
    assert list(failed) == [samplers[1]]
    assert isinstance(failed[samplers[1]], SamplingError)
    assert "step 1" in str(failed[samplers[1]])
    assert [len(sampler.tokens) for sampler in samplers] == [1, 0, 1]
    assert [sampler.stopped for sampler in samplers] == [False, False, True]
    assert samplers[0].speech_tokens().tolist() == drawn_alone(REQUESTS[0], torch.float32)[:1]


def test_a_single_row_is_not_guided_even_if_it_excludes_tokens() -> None:
    draws = JointDraws(1, VOCABULARY, torch.float32, CPU)
    sampler, alone = sampler_of(REQUESTS[1]), sampler_of(REQUESTS[1])
    logits = logits_of(REQUESTS[1], 0, torch.float32)
    logits[:, :100] = float("-inf")
    draws.join(sampler)
    assert not draws.draw([(sampler, logits)])
    alone.draw(logits)
    assert sampler.speech_tokens().tolist() == alone.speech_tokens().tolist()


def test_who_has_a_place_and_does_not_draw_has_said_nothing() -> None:
    draws = JointDraws(2, VOCABULARY, torch.float32, CPU)
    first, second = (sampler_of(request) for request in REQUESTS[:2])
    for sampler in (first, second):
        draws.join(sampler)
    draws.draw([(first, logits_of(REQUESTS[0], 0, torch.float32))])
    assert draws._said[draws._places[second]].nonzero().flatten().tolist() == [HP.start_speech_token]


def test_who_is_inspected_draws_on_its_own() -> None:
    draws = JointDraws(1, VOCABULARY, torch.float32, CPU)
    watched = SpeechTokenSampler(REQUESTS[0], HP, CallRandomness(1), CPU, inspect=lambda scores, _: scores)
    draws.join(watched)
    assert not draws.has(watched)
