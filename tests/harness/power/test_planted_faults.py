"""Four faults, each caught by a schedule that never fails to show it; the wrapper without them passes the same one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import torch

from harness.hazards.places import before
from harness.hazards.schedule import Schedule, held_at
from harness.power.fault_buffers import SharedKeyValueCache
from harness.power.fault_draws import ProcessWideSampling
from harness.power.fault_voices import SharedConditionals, VoiceScaledInPlace
from harness.power.stepped import SteppedWrapper

if TYPE_CHECKING:
    from harness.hazards.schedule import Ended
    from harness.power.scenario import Scenario

PLACE = "t3.tfmr"
FAULTS = (SharedConditionals, ProcessWideSampling, SharedKeyValueCache, VoiceScaledInPlace)
# Two requests with one clip, and one with the built-in voice.
PAIRS = ((0, 1), (0, 2))


def calls_disturbed(scenario: Scenario, kind: type[SteppedWrapper], pair: tuple[int, int]) -> list[str]:
    """Hold the first call before T3's first step while the second runs; return which were not as alone."""
    requests = dict(zip(("first", "second"), (scenario.requests[place] for place in pair), strict=True))
    alone = {name: kind(scenario.model()).speak(request) for name, request in requests.items()}
    wrapper = kind(scenario.model())
    schedule = Schedule(held_at(PLACE))
    with before(wrapper.model.t3.tfmr, PLACE, schedule):
        played = schedule.run({name: partial(wrapper.speak, request) for name, request in requests.items()})
    assert played.trace == held_at(PLACE)
    return [name for name, audio in alone.items() if not _is(audio, played.ended[name])]


def _is(audio: torch.Tensor, ended: Ended) -> bool:
    return isinstance(ended.value, torch.Tensor) and torch.equal(audio, ended.value)


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_planted_fault_is_caught(scenario: Scenario, kind: type[SteppedWrapper]) -> None:
    assert any(calls_disturbed(scenario, kind, pair) for pair in PAIRS)


@pytest.mark.parametrize("pair", PAIRS)
def test_without_the_fault_nothing_is_disturbed(scenario: Scenario, pair: tuple[int, int]) -> None:
    assert calls_disturbed(scenario, SteppedWrapper, pair) == []
