from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.power.fault_buffers import _OwnLoop
from harness.power.stepped import SteppedWrapper
from stateless_tts import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from harness.power.scenario import Scenario


def test_the_steps_give_the_bits_of_the_wrapper(scenario: Scenario) -> None:
    wrapper = StatelessChatterBoxWrapper(scenario.model())
    for kind in (SteppedWrapper, _OwnLoop):
        stepped = kind(scenario.model())
        for request in scenario.requests:
            assert torch.equal(stepped.speak(request), wrapper.synthesize(request).audio)
