"""A failure shrinks to the smallest workload, and the line it prints plays that workload again."""

from __future__ import annotations

import itertools
import shlex
from typing import TYPE_CHECKING

import torch
from hypothesis import HealthCheck, find, settings

from harness.replay.case import Case, Utterance
from harness.replay.player import Player
from tests.properties.strategies import cases

if TYPE_CHECKING:
    from collections.abc import Callable

    from stateless_tts import SpeechRequest

QUICK = settings(
    max_examples=200, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)


def counting() -> Callable[[SpeechRequest], torch.Tensor]:
    """Return a call whose result depends on how many calls came before: the planted fault."""
    calls = itertools.count()
    return lambda request: torch.tensor([float(len(request.text)), float(next(calls))])


def test_a_fault_that_needs_two_calls_shrinks_to_two_plain_ones() -> None:
    player = Player(counting, {})
    smallest = find(cases(), lambda case: bool(player.differences(case)), settings=QUICK)
    assert smallest.utterances == (Utterance(max_new_tokens=3), Utterance(max_new_tokens=3))
    assert smallest.threads == 1
    assert smallest.order == (0, 1)


def test_the_printed_command_carries_the_case() -> None:
    case = Case((Utterance(text='It\'s "me".'), Utterance(voice="two", seed=7)), threads=3, arrival=(1, 0))
    words = shlex.split(case.command())
    assert words[:4] == ["python", "-m", "harness", "replay"]
    assert Case.from_json(words[4]) == case
