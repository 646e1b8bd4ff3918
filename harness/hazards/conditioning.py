"""Reproductions of what upstream keeps of a voice: conditionals on the model, conditioning written in place."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from harness.hazards.bench import FIRST, SECOND, Trial, differing, speak_stock
from harness.hazards.overlap import overlapped
from harness.hazards.places import PlacedTokenizer, before
from harness.hazards.schedule import Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from chatterbox.models.t3 import T3
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.tts import ChatterboxTTS

    from harness.hazards.bench import Bench
    from harness.hazards.schedule import Played

_TOKENIZER = "tokenizer"
_POSITIONS = "t3.speech_pos_emb"


def shared_conditionals(bench: Bench) -> Trial:
    """The first call has its voice; before it uses it, the second prepares another on the same model."""
    mine, other = bench.clips
    model = bench.stock()
    wanted = speak_stock(model, replace(FIRST, audio_prompt_path=mine))
    with_other_voice = speak_stock(model, replace(FIRST, audio_prompt_path=other))
    schedule = Schedule(held_at(_TOKENIZER))
    with _placed_tokenizer(model, schedule):
        played = schedule.run(
            {
                "first": lambda: speak_stock(model, replace(FIRST, audio_prompt_path=mine)),
                "second": lambda: model.prepare_conditionals(other),
            }
        )
    difference = differing(played.value("first"), wanted)
    stolen = not differing(played.value("first"), with_other_voice)
    evidence = difference or "not a bit differs"
    if stolen:
        evidence += "; bit-identical to the same text in the second call's voice"
    return Trial(bool(difference) and stolen, evidence, played.trace)


def own_conditionals(bench: Bench) -> Trial:
    """The same, through the wrapper; the second call even speaks to its end."""
    mine, other = (replace(FIRST, audio_prompt_path=bench.clips[0]), replace(SECOND, audio_prompt_path=bench.clips[1]))
    return overlapped(bench, _TOKENIZER, _placed_tokenizer, first=mine, second=other)


def shared_t3_cond(bench: Bench) -> Trial:
    """The first caller has written the prompt's embedding, but not yet added the positions, when the second reads."""
    model = bench.stock()
    with torch.inference_mode():
        wanted = model.t3.prepare_conditioning(_fresh_cond(model))
    shared = _fresh_cond(model)
    played = _two_readers(model.t3, lambda: _condition(model.t3, shared))
    difference = differing(played.value("second"), wanted)
    return Trial(bool(difference), f"second caller's conditioning: {difference or 'not a bit differs'}", played.trace)


def own_t3_cond(bench: Bench) -> Trial:
    """Two calls share one `Voice`; each conditions T3 with an object of its own."""
    wrapper = bench.stateless()
    voice = wrapper.prepare_voice(bench.clips[0])
    mine, other = replace(FIRST, audio_prompt_path=voice), replace(SECOND, audio_prompt_path=voice)
    return overlapped(
        bench,
        _POSITIONS,
        lambda model, schedule: before(model.t3.speech_pos_emb, _POSITIONS, schedule),
        first=mine,
        second=other,
    )


def rewritten_reference(bench: Bench) -> Trial:
    """One call alone: what it did to the dictionary that holds the voice."""
    model = bench.stock()
    reference = model.conds.gen
    before_call = {name: value.dtype for name, value in reference.items() if torch.is_tensor(value)}
    speak_stock(model, FIRST)
    recast = {
        name: f"{name}: {str(dtype).removeprefix('torch.')} became {str(reference[name].dtype).removeprefix('torch.')}"
        for name, dtype in before_call.items()
        if reference[name].dtype is not dtype
    }
    half = torch.tensor([2049, 6560]).to(torch.float16).long().tolist()
    evidence = "; ".join(recast.values()) or "the dictionary is as it was"
    if recast:
        evidence += f"; in half precision token ids 2049 and 6560 would become {half[0]} and {half[1]}"
    return Trial(bool(recast), evidence)


def untouched_voice(bench: Bench) -> Trial:
    """One call alone through the wrapper: every tensor of the voice is the same object with the same bits."""
    wrapper = bench.stateless()
    voice = wrapper.prepare_voice(bench.clips[0])
    kept = {name: (id(value), value.clone()) for name, value in vars(voice).items() if torch.is_tensor(value)}
    wrapper.synthesize(replace(FIRST, audio_prompt_path=voice))
    changed = [
        name
        for name, (identity, bits) in kept.items()
        if id(getattr(voice, name)) != identity
        or getattr(voice, name).dtype is not bits.dtype
        or not torch.equal(getattr(voice, name), bits)
    ]
    return Trial(bool(changed), f"changed: {', '.join(changed)}" if changed else "all tensors of the voice untouched")


def _fresh_cond(model: ChatterboxTTS) -> T3Cond:
    """Return the built-in voice's conditioning as a checkpoint holds it: tokens alone, no embedding yet."""
    return replace(model.conds.t3, cond_prompt_speech_emb=None)


def _two_readers(t3: T3, condition: Callable[[], torch.Tensor]) -> Played:
    schedule = Schedule(held_at(_POSITIONS))
    with before(t3.speech_pos_emb, _POSITIONS, schedule):
        return schedule.run({"first": condition, "second": condition})


@torch.inference_mode()
def _condition(t3: T3, cond: T3Cond) -> torch.Tensor:
    embedding: torch.Tensor = t3.prepare_conditioning(cond)
    return embedding


@contextlib.contextmanager
def _placed_tokenizer(model: ChatterboxTTS, schedule: Schedule) -> Iterator[None]:
    tokenizer = model.tokenizer
    model.tokenizer = PlacedTokenizer(tokenizer, _TOKENIZER, schedule)
    try:
        yield
    finally:
        model.tokenizer = tokenizer
