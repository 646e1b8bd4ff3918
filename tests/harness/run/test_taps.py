from __future__ import annotations

import torch

from harness.run.digest import mark
from harness.run.taps import StageTaps
from tests.harness.toys import ToyModel


def hooks_of(model: ToyModel) -> int:
    return sum(len(module._forward_hooks) + len(module._forward_pre_hooks) for module in model.modules())


def test_stages_are_recorded_while_recording_and_hooks_go_away() -> None:
    model = ToyModel()
    taps = StageTaps((object(), model, model))
    voice, noise = torch.tensor([2.0]), torch.tensor([1.0, 3.0])
    with taps.installed():
        assert hooks_of(model) == 3
        model.speak(voice, noise)
        with taps.recording() as record:
            model.speak(voice, noise)
        model.speak(voice, noise)
    assert hooks_of(model) == 0
    assert record == {
        "conditioning": [mark(voice)],
        "speech_tokens": [mark(noise)],
        "mel": [mark(torch.tensor([2.0, 6.0]))],
    }


def test_objects_without_stages_are_no_trouble() -> None:
    taps = StageTaps((object(), torch.nn.Linear(1, 1)))
    with taps.installed(), taps.recording() as record:
        pass
    assert record == {}
