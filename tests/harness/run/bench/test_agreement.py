"""Token sequences side by side."""

from __future__ import annotations

import pytest
import torch

from harness.run.bench.agreement import COST_TOKENS, compare, compare_tokens, measure_token_costs
from harness.run.bench.records import ModelFacts
from harness.subjects.contestant import Contestant, Spoken
from stateless_tts import SpeechRequest


@pytest.mark.parametrize(
    ("stock", "engine", "first"),
    [([1, 2, 3], [1, 2, 3], None), ([1, 2, 3], [1, 9, 3], 1), ([1, 2, 3], [1, 2], 2), ([1], [1, 2], 1), ([], [], None)],
)
def test_the_first_difference_is_found(stock: list[int], engine: list[int], first: int | None) -> None:
    found = compare("tiny", "float32", 5, torch.tensor(stock), torch.tensor(engine))
    assert (found.same, found.first_difference) == (first is None, first)
    assert (found.stock_tokens, found.engine_tokens, found.request) == (len(stock), len(engine), 5)


def say(request: SpeechRequest) -> Spoken:
    said = min(request.max_new_tokens, 40)
    return Spoken(torch.zeros(1, 1), torch.arange(said), {"speech_tokens": 0.1 * said})


def test_every_request_is_compared() -> None:
    requests = [SpeechRequest("a", seed=place) for place in range(5)]
    told: list[int] = []
    found = list(
        compare_tokens(
            say, Contestant("engine-fp32", say), requests,
            profile="tiny", dtype="float32", workers=3, on_call=lambda: told.append(1),
        )
    )  # fmt: skip
    assert [one.request for one in found] == [0, 1, 2, 3, 4]
    assert all(one.same for one in found)
    assert len(told) == 5


def test_the_cost_of_a_token_is_told_for_what_was_really_said() -> None:
    facts = ModelFacts(24_000, {"float32": 1000}, {"float32": 10}, (7,), 1.0)
    costs = list(measure_token_costs(Contestant("e", say), SpeechRequest("a"), "float32", facts, 7, 64))
    assert [cost.tokens for cost in costs] == [8, 36, 40, 40, 36, 8] * 2
    assert [cost.past_bytes for cost in costs[:2]] == [10 * 14, 10 * 42]
    assert max(COST_TOKENS) > 64


def test_where_the_engine_raises_it_has_said_no_token() -> None:
    def fail(request: SpeechRequest) -> Spoken:
        if request.seed == 1:
            raise OSError("no space left")
        return say(request)

    engine, requests = Contestant("engine-fp32", fail), [SpeechRequest("a", seed=place) for place in range(3)]
    found = list(compare_tokens(say, engine, requests, profile="tiny", dtype="float32", workers=2))
    assert [(one.same, one.engine_tokens, one.first_difference) for one in found] == [
        (True, 40, None), (False, 0, 0), (True, 40, None),
    ]  # fmt: skip
    facts = ModelFacts(24_000, {"float32": 1000}, {"float32": 10}, (7,), 1.0)
    assert list(measure_token_costs(engine, requests[1], "float32", facts, 7, 64)) == []
