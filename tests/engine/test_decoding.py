"""Between two steps a few prompts are read, and who has ended meanwhile takes no step."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts.engine import _decoding
from stateless_tts.engine._cores import Cores

if TYPE_CHECKING:
    from collections.abc import Sequence

LOGITS = torch.zeros(1, 1)


def job(watch: object = None) -> Any:  # noqa: ANN401 - it stands in for a job
    sampler = SimpleNamespace(tokens=[torch.zeros(1, 1)], finished=False, draw=lambda _: None)
    prompt = SimpleNamespace(embeddings=torch.zeros(1, 1, 1))
    utterance = SimpleNamespace(t3=None, prompt=prompt, sampler=sampler, watch=watch)
    return SimpleNamespace(ended=False, utterance=utterance, lap=lambda _: None)


def done(monkeypatch: pytest.MonkeyPatch, jobs: Sequence[Any], turns: int, ends: tuple[int, int] | None = None) -> str:
    """Return what is done in so many turns: a "p" for every prompt, and for a step how many take it.

    `ends` tells who ends while which prompt is read.
    """
    did, waiting = [], list(jobs)

    def read(*given: object) -> tuple[SimpleNamespace, torch.Tensor]:
        did.append("p" if given[2:] == ("beginnings", "chained") else "watched" if not given[2:] else "wrong")
        if ends is not None and len(did) - 1 == ends[1]:
            jobs[ends[0]].ended = True
        return SimpleNamespace(), LOGITS

    def step(readings: Sequence[object]) -> list[torch.Tensor]:
        did.append(str(len(readings)))
        return [LOGITS] * len(readings)

    ledger: Any = SimpleNamespace(
        expire=lambda: None,
        left_batch=lambda _: None,
        next_to_decode=lambda *, wait: waiting.pop(0) if waiting else None,  # noqa: ARG005 - as a ledger is asked
    )
    speaking: Any = SimpleNamespace(step=step, draws=None, read="chained")
    monkeypatch.setattr(_decoding, "read_prompt", read)
    decoder = _decoding.Decoder(ledger, speaking, Cores(1), "beginnings")  # type: ignore[arg-type] # it is handed on
    for _ in range(turns):
        decoder._turn()
    return " ".join(did)


def test_of_a_burst_some_join_before_each_step(monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(monkeypatch, [job() for _ in range(9)], turns=4) == "p p p p 4 p p p p 8 p 9 9"


@pytest.mark.parametrize("while_reading", [1, 2, 3])
def test_who_ends_while_others_join_takes_no_step(monkeypatch: pytest.MonkeyPatch, while_reading: int) -> None:
    assert done(monkeypatch, [job() for _ in range(5)], turns=2, ends=(1, while_reading)) == "p p p p 3 p 4"


def test_a_prompt_that_is_watched_is_read_by_torch_in_one_go(monkeypatch: pytest.MonkeyPatch) -> None:
    assert done(monkeypatch, [job(), job(watch=object()), job()], turns=1) == "p watched p 3"
