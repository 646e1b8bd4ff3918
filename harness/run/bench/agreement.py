"""The engine's speech tokens beside stock's, and what a token costs the further an utterance has come."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.run.bench.records import TokenComparison, TokenCost

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

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
    """Speak every request with the engine in company, and with stock alone; yield one comparison for each."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - beside its only use

    with ThreadPoolExecutor(workers, thread_name_prefix="harness") as executor:
        futures: list[Future[torch.Tensor | None]] = [
            executor.submit(lambda one: engine.speak(one).tokens, request) for request in requests
        ]
        spoken = [future.result() for future in futures]
    for place, (request, ours) in enumerate(zip(requests, spoken, strict=True)):
        theirs = stock(request).tokens
        assert ours is not None
        assert theirs is not None
        yield compare(profile, dtype, place, theirs.flatten().cpu(), ours.flatten().cpu())
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

    They grow in one repeat and shrink in the next, so that drift of the machine favours none.
    """
    engine.speak(replace(request, max_new_tokens=4))
    lengths = [count for count in COST_TOKENS if count <= most_tokens]
    for tokens in (lengths + lengths[::-1]) * (COST_REPEATS // 2):
        spoken = engine.speak(replace(request, max_new_tokens=tokens))
        assert spoken.tokens is not None
        said = int(spoken.tokens.numel())
        yield TokenCost(
            dtype,
            said,
            spoken.stage_seconds["speech_tokens"],
            facts.cache_bytes_per_token[dtype] * (prompt_tokens + said - 1),
            facts.t3_step_weight_bytes[dtype],
        )
