"""Reproductions of draws from the process-wide generator, and of the backend that every T3 call rebinds."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.hazards.bench import FIRST, SECOND, Trial, differing, speak_stock
from harness.hazards.overlap import overlapped
from harness.hazards.places import before, torch_places
from harness.hazards.schedule import Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chatterbox.tts import ChatterboxTTS

    from harness.hazards.bench import Bench

_BACKBONE = "t3.tfmr"


def stock_draw(place: str) -> Callable[[Bench], Trial]:
    """Return the reproduction in which stock is held before the draw at `place` while another call draws."""
    return functools.partial(_stock_draw, place=place)


def own_draw(place: str) -> Callable[[Bench], Trial]:
    """Return the same reproduction on the wrapper."""
    return functools.partial(_own_draw, place=place)


def _stock_draw(bench: Bench, place: str) -> Trial:
    model = bench.stock()
    wanted = speak_stock(model, FIRST)
    schedule = Schedule(held_at(place))

    def speak_first() -> torch.Tensor:
        with torch_places(schedule, [_function(place)]):
            return speak_stock(model, FIRST)

    # The second call brings the same voice, so that nothing but the draws can differ.
    played = schedule.run({"first": speak_first, "second": lambda: speak_stock(model, SECOND)})
    difference = differing(played.value("first"), wanted)
    return Trial(bool(difference), f"first call: {difference or 'not a bit differs'}", played.trace)


def _own_draw(bench: Bench, place: str) -> Trial:
    return overlapped(bench, place, watched=[_function(place)])


def _function(place: str) -> str:
    return place.partition(" ")[0]


def rebound_backend(bench: Bench) -> Trial:
    """The first call is inside T3's first step; the second replaces the backend object that it works with."""
    model = bench.stock()
    wanted = speak_stock(model, FIRST)
    seen: dict[str, object] = {}
    schedule = Schedule(held_at(_BACKBONE))

    def speak_second() -> None:
        seen["before"] = model.t3.patched_model
        # The second call's draws are put back: what is asked here is what the rebinding does by itself.
        with torch.random.fork_rng(devices=[]):
            speak_stock(model, SECOND)
        seen["after"] = model.t3.patched_model

    with before(model.t3.tfmr, _BACKBONE, schedule):
        played = schedule.run({"first": lambda: speak_stock(model, FIRST), "second": speak_second})
    replaced = seen["before"] is not seen["after"]
    difference = differing(played.value("first"), wanted)
    evidence = "t3.patched_model was replaced under the running call" if replaced else "t3.patched_model was kept"
    evidence += f"; audio of the English family: {difference or 'not a bit differs'}"
    return Trial(replaced, evidence, played.trace)


def kept_backend(bench: Bench) -> Trial:
    """The same on the wrapper: T3's attributes are the same objects before and after, and the audio as alone."""
    attributes = dict(vars(bench.stock().t3))
    trial = overlapped(bench, _BACKBONE, _before_backbone)
    after = vars(bench.stock().t3)
    rebound = [name for name in after if after[name] is not attributes.get(name)]
    if rebound:
        return replace(trial, failed=True, evidence=f"t3 has other attributes: {', '.join(rebound)}")
    return replace(trial, evidence=f"no attribute of t3 rebound; {trial.evidence}")


def _before_backbone(model: ChatterboxTTS, schedule: Schedule) -> AbstractContextManager[None]:
    return before(model.t3.tfmr, _BACKBONE, schedule)
