"""The engine's speech tokens beside stock's, and what a token costs the further an utterance has come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.run.bench.loops import closed_loop
from harness.run.bench.records import TokenComparison, TokenCost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.run.bench.records import ModelFacts
    from harness.subjects.contestant import Contestant, Spoken
    from stateless_tts import SpeechRequest

# Evenly spaced, so that what is told of early and of late tokens is equally sure.
COST_TOKENS = (8, 36, 64, 92, 120)
COST_REPEATS = 4


def compare_tokens(
    stock: Callable[[SpeechRequest], Spoken],
    engine: Contestant,
    requests: Sequence[SpeechRequest],
    *,
    profile: str,
    dtype: str,
    workers: int,
    on_call: Callable[[], None] = lambda: None,
) -> Iterator[TokenComparison]:
    """Speak every request with the engine in company, and with stock alone; yield one comparison for each.

    Where the engine raises, or hangs, it has said no token.
    """
    said: dict[int, torch.Tensor] = {}

    def speak(request: SpeechRequest) -> Spoken:
        spoken = engine.speak(request)
        assert spoken.tokens is not None
        said[id(request)] = spoken.tokens.flatten().cpu()
        return spoken

    closed_loop(replace(engine, speak=speak), requests, range(len(requests)), workers)
    nothing = torch.empty(0, dtype=torch.int64)
    for place, request in enumerate(requests):
        theirs = stock(request).tokens
        assert theirs is not None
        yield compare(profile, dtype, place, theirs.flatten().cpu(), said.get(id(request), nothing))
        on_call()


def compare(profile: str, dtype: str, place: int, stock: torch.Tensor, engine: torch.Tensor) -> TokenComparison:
    """Compare two token sequences, both of shape (tokens,)."""
    common = min(stock.numel(), engine.numel())
    unequal = torch.nonzero(stock[:common] != engine[:common]).flatten()
    first = int(unequal[0]) if unequal.numel() else (None if stock.numel() == engine.numel() else common)
    return TokenComparison(profile, dtype, place, int(stock.numel()), int(engine.numel()), first is None, first)


def measure_token_costs(
    engine: Contestant, request: SpeechRequest, dtype: str, facts: ModelFacts, prompt_tokens: int, most_tokens: int
) -> Iterator[TokenCost]:
    """Let the engine, with nothing else to do, speak the beginning of one long text to several lengths.

    They grow in one repeat and shrink in the next, so that drift of the machine favours none. An engine that raises, or
    hangs, is asked for no more.
    """
    lengths = [count for count in COST_TOKENS if count <= most_tokens]
    asked = [replace(request, max_new_tokens=tokens) for tokens in (lengths + lengths[::-1]) * (COST_REPEATS // 2)]
    for number, one in enumerate([replace(request, max_new_tokens=4), *asked]):
        ((call,), _) = closed_loop(engine, [one], [0], 1)
        if call.error is not None or call.tokens is None:
            return
        if number == 0:  # warms up
            continue
        said = call.tokens
        yield TokenCost(
            dtype,
            said,
            call.stage_seconds["speech_tokens"],
            facts.cache_bytes_per_token[dtype] * (prompt_tokens + said - 1),
            facts.t3_step_weight_bytes[dtype],
        )
