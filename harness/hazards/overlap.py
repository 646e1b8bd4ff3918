"""Two overlapping calls of the wrapper, held at the place where stock breaks, and each compared with itself alone."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from harness.hazards.bench import FIRST, SECOND, Trial, differing, speak
from harness.hazards.places import torch_places
from harness.hazards.schedule import PROJECT_PATIENCE_S, Schedule, held_at

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.hazards.bench import Bench, Request
    from harness.hazards.schedule import Played
    from stateless_tts import StatelessChatterBoxWrapper

    PutPlace = Callable[[Any, Schedule], contextlib.AbstractContextManager[None]]


def overlapped(
    bench: Bench,
    place: str,
    put: PutPlace | None = None,
    *,
    make: Callable[[], StatelessChatterBoxWrapper] | None = None,
    first: Request = FIRST,
    second: Request = SECOND,
    watched: Sequence[str] = (),
    lines: Sequence[str] = (),
) -> Trial:
    """Let the wrapper's second call run while its first is held at `place`.

    Args:
        bench: where the model comes from.
        place: where the first call is held.
        put: puts the place on the wrapper's model and takes it off again.
        make: returns a new wrapper; `None` for the English one.
        first: what the held call asks for.
        second: what the other asks for.
        watched: torch functions whose calls by the first call are places.
        lines: another schedule than holding the first call at `place`.
    """
    make = make or bench.stateless
    alone = make()
    wanted = {"first": alone.synthesize(first).audio, "second": alone.synthesize(second).audio}
    schedule = Schedule(lines or held_at(place), PROJECT_PATIENCE_S)
    wrapper = make()

    def speak_first() -> object:
        with torch_places(schedule, watched):
            return speak(wrapper, first)()

    with put(wrapper.model, schedule) if put else contextlib.nullcontext():
        played = schedule.run({"first": speak_first, "second": speak(wrapper, second)})
    wrong = [f"{call} call: {told}" for call, audio in wanted.items() if (told := _wrong(played, call, audio))]
    alike = why_not_played(played) or "both calls bit-identical to themselves alone"
    return Trial(bool(wrong), "; ".join(wrong) or alike, played.trace, played.stuck)


def why_not_played(played: Played) -> str:
    """Say which call could not follow the schedule; empty if all of them did."""
    stuck = [f"{call} call: {ended.told}" for call, ended in played.ended.items() if ended.stuck]
    return f"could not be played, because calls wait for each other: {'; '.join(stuck)}" if stuck else ""


def _wrong(played: Played, call: str, wanted: object) -> str:
    ended = played.ended[call]
    if ended.stuck:
        return ""
    if ended.error is not None:
        return ended.told
    return differing(ended.value, wanted)  # type: ignore[arg-type] # a waveform
