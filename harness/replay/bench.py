"""A player on the tiny model, with two short clips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.power.faults import FAULTS
from harness.power.scenario import Scenario
from harness.replay.player import Player
from stateless_tts import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest


def tiny_player(folder: Path, fault: str | None = None, model: ChatterboxTTS | None = None) -> Player:
    """Return a player of the stateless wrapper, or of the one with the planted `fault`."""
    scenario = Scenario(folder, model)
    kind = {each.name: each.wrapper for each in FAULTS}[fault] if fault else None

    def make() -> Callable[[SpeechRequest], torch.Tensor]:
        if kind is not None:
            return kind(scenario.model()).speak
        wrapper = StatelessChatterBoxWrapper(scenario.model())
        return lambda request: wrapper.synthesize(request).audio

    return Player(make, scenario.clips)
