"""Reproductions on the multilingual, Turbo and voice conversion families: the wrapper's side, and Turbo's stock one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from harness.hazards.bench import FIRST, SECOND, Trial, differing
from harness.hazards.families import counted_visits, hooks_of, written_config
from harness.hazards.overlap import overlapped
from harness.hazards.places import before, torch_places
from harness.hazards.schedule import Schedule, held_at
from stateless_tts import ConversionRequest, StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from harness.hazards.bench import Bench

# Shared by every call's view of T3, and run after the layers whose attention an analyser listens to.
_NORM = "t3.tfmr.norm"
_BACKBONE, _S3_TOKENIZER = "t3.tfmr", "s3gen.tokenizer"
_FRENCH, _GERMAN = replace(FIRST, language_id="fr"), replace(SECOND, language_id="de")


def own_analyser(bench: Bench) -> Trial:
    """Two multilingual calls, the first held in its first step: each has an analyser of its own."""
    return overlapped(bench, _NORM, _before_norm, make=_maker(bench, "multilingual"), first=_FRENCH, second=_GERMAN)


def removed_hooks(bench: Bench) -> Trial:
    """Multilingual calls one after the other: hooks and configuration as they were."""
    wrapper = _maker(bench, "multilingual")()
    t3 = wrapper.model.t3
    found = (hooks_of(t3), written_config(t3))
    counts = []
    for _ in range(3):
        wrapper.synthesize(_FRENCH)
        counts.append(hooks_of(t3))
    evidence = f"forward hooks before and after 1 to 3 calls: {found[0]}, {', '.join(map(str, counts))}"
    return Trial({*counts} != {found[0]} or written_config(t3) != found[1], evidence)


def own_target_voice(bench: Bench) -> Trial:
    """Two conversions; the first has its target voice and is about to read its source."""
    source, mine, other = bench.clips[0], bench.clips[0], bench.clips[1]
    return overlapped(
        bench,
        f"{_S3_TOKENIZER} #2",
        lambda model, schedule: counted_visits(model.s3gen.tokenizer, schedule),
        make=_maker(bench, "vc"),
        first=ConversionRequest(source, mine, seed=1),
        second=ConversionRequest(source, other, seed=2),
    )


def turbo_conditionals(bench: Bench) -> Trial:
    """The first call is in T3; before S3Gen reads the voice, the second prepares another on the same model."""
    model = bench.family("turbo")
    voice = bench.long_clip()
    wanted = _speak_turbo(model, FIRST.text)
    model = bench.family("turbo")
    schedule = Schedule(held_at(_BACKBONE))
    with before(model.t3.tfmr, _BACKBONE, schedule):
        played = schedule.run(
            {
                "first": lambda: _speak_turbo(model, FIRST.text),
                "second": lambda: model.prepare_conditionals(voice),
            }
        )
    difference = differing(played.value("first"), wanted)
    return Trial(bool(difference), f"first call: {difference or 'not a bit differs'}", played.trace)


def own_turbo_conditionals(bench: Bench) -> Trial:
    """The same through the wrapper; the second call even speaks to its end."""
    second = replace(SECOND, audio_prompt_path=bench.long_clip())
    return overlapped(bench, _BACKBONE, _before_backbone, make=_maker(bench, "turbo"), second=second)


def meanflow_noise(bench: Bench) -> Trial:
    """The first call is about to draw the noise that Turbo's flow starts from; the second draws before it."""
    model = bench.family("turbo")
    wanted = _speak_turbo(model, FIRST.text)
    schedule = Schedule(held_at("randn #1"))

    def speak_first() -> torch.Tensor:
        with torch_places(schedule, ["randn"]):
            return _speak_turbo(model, FIRST.text)

    played = schedule.run({"first": speak_first, "second": lambda: _speak_turbo(model, SECOND.text)})
    difference = differing(played.value("first"), wanted)
    return Trial(bool(difference), f"first call: {difference or 'not a bit differs'}", played.trace)


def own_meanflow_noise(bench: Bench) -> Trial:
    """The same through the wrapper."""
    return overlapped(bench, "randn #1", make=_maker(bench, "turbo"), watched=["randn"])


def _maker(bench: Bench, family: str) -> Callable[[], StatelessChatterBoxWrapper]:
    return lambda: StatelessChatterBoxWrapper(bench.family(family))


def _speak_turbo(model: Any, text: str) -> torch.Tensor:  # noqa: ANN401 - upstream has no types
    torch.manual_seed(FIRST.seed or 0)
    audio: torch.Tensor = model.generate(text)
    return audio


def _before_norm(model: Any, schedule: Schedule) -> AbstractContextManager[None]:  # noqa: ANN401
    return before(model.t3.tfmr.norm, _NORM, schedule)


def _before_backbone(model: Any, schedule: Schedule) -> AbstractContextManager[None]:  # noqa: ANN401
    return before(model.t3.tfmr, _BACKBONE, schedule)
