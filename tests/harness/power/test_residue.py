from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from harness.power.residue import changed, residue
from harness.power.stepped import SteppedWrapper

if TYPE_CHECKING:
    from harness.power.scenario import Scenario


def test_each_kind_of_trace_is_seen(scenario: Scenario) -> None:
    wrapper = SteppedWrapper(scenario.model())
    weight = wrapper.model.t3.speech_head.weight
    before = residue(wrapper)
    wrapper.left = 1  # type: ignore[attr-defined]
    wrapper.default_voice.__dict__["cond"] = None  # inside a value: not looked at
    with torch.no_grad():
        weight.mul_(1.0)
    torch.rand(1)
    handle = wrapper.model.t3.register_forward_hook(lambda *_: None)
    try:
        places = changed(before, residue(wrapper))
    finally:
        handle.remove()
    assert places[:3] == (
        "model.t3.speech_head._parameters['weight']",
        "torch.default_generator",
        "wrapper.left",
    )
    assert places[3].startswith("model.t3._forward_hooks[")
    assert len(places) == 4


def test_a_look_leaves_nothing(scenario: Scenario) -> None:
    wrapper = SteppedWrapper(scenario.model())
    assert changed(residue(wrapper), residue(wrapper)) == ()
