from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch

from harness.errors import ReferenceFailedError
from harness.replay.case import Case, Utterance
from harness.replay.player import Player

if TYPE_CHECKING:
    from collections.abc import Callable

    from stateless_tts import SpeechRequest


def honest() -> Callable[[SpeechRequest], torch.Tensor]:
    return lambda request: torch.tensor([float(request.seed or 0)])


def test_calls_that_agree_with_themselves_alone() -> None:
    assert Player(honest, {}).differences(Case((Utterance(seed=1), Utterance(seed=2)), arrival=(1, 0))) == ()


def test_a_request_that_fails_alone_is_no_difference() -> None:
    def call(request: SpeechRequest) -> torch.Tensor:
        raise ValueError(request.text)

    with pytest.raises(ReferenceFailedError, match="request 0 raised ValueError: Hi"):
        Player(lambda: call, {}).differences(Case((Utterance(), Utterance(seed=1))))


def test_an_exception_under_threads_is_a_difference() -> None:
    def make() -> Callable[[SpeechRequest], torch.Tensor]:
        seen: list[SpeechRequest] = []

        def call(request: SpeechRequest) -> torch.Tensor:
            seen.append(request)
            if len(seen) > 1:
                raise ValueError("second call")
            return torch.zeros(1)

        return call

    (difference,) = Player(make, {}).differences(Case((Utterance(), Utterance()), threads=1))
    assert difference == "utterance 1: crash: ValueError: second call"
