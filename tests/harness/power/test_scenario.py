from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.power.stepped import SteppedWrapper

if TYPE_CHECKING:
    import torch

    from harness.power.scenario import Scenario
    from stateless_tts import SpeechRequest


def test_a_fault_that_breaks_a_call_alone_is_no_fault_of_sharing(scenario: Scenario) -> None:
    class Broken(SteppedWrapper):
        def text_tokens(self, request: SpeechRequest) -> torch.Tensor:
            raise ValueError(request.text)

    with pytest.raises(RuntimeError, match=r"Broken fails alone: ValueError: Hi\."):
        scenario.alone(Broken)


def test_clips_are_where_they_were_after_a_run(scenario: Scenario) -> None:
    held = {name: path.read_bytes() for name, path in scenario.clips.items()}
    assert held["one"] != held["two"]
    assert len(held["one"]) == len(held["two"])
    references = scenario.alone(SteppedWrapper)
    assert references.before[0].output != references.after[0].output
    assert {name: path.read_bytes() for name, path in scenario.clips.items()} == held
