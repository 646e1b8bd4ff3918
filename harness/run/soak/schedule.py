"""Which fault happens to which segment: dealt out from a seed, every kind of fault in every round."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.workload.soak import CONVERTING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.workload.soak import SoakRequest

STAGES = ("voice", "speech tokens", "mel", "waveform", "watermark")
RAISES = {stage: f"exception: {stage}" for stage in STAGES}
KILLED_ONCE, KILLED_TWICE = "worker dies once", "worker dies twice"
KILLED_OUTSIDE = "thread killed from outside"
STALLS, HANGS = "time-out: stalls", "time-out: hangs"
CLIP_DELETED, CANCELLED, DISK_FULL = "clip deleted", "cancelled", "disk full"
SHUT_DOWN = "shut down"
FAULTS = (
    *RAISES.values(), KILLED_ONCE, KILLED_TWICE, KILLED_OUTSIDE, STALLS, HANGS, CLIP_DELETED, CANCELLED, DISK_FULL
)  # fmt: skip
# Every so many rounds the processor is shut down before all has been handed in.
SHUT_DOWN_EVERY = 4
_DOOMED = 3
_AHEAD = 16
# Leads from one family to the next, and in the end to every request.
_STRIDE = 7
_TWICE = (CLIP_DELETED, CANCELLED)


@dataclass(frozen=True)
class PlannedSegment:
    """A segment, and what is to happen to it.

    Attributes:
        index: in the round.
        request: what it asks for.
        fault: one of `FAULTS`, or empty.
        stage: where a worker is killed: one of `STAGES`.
        after: results that are taken before it is cancelled.
    """

    index: int
    request: SoakRequest
    fault: str = ""
    stage: str = ""
    after: int = 0


@dataclass(frozen=True)
class RoundPlan:
    """A round.

    Attributes:
        number: of the round.
        segments: in the order in which they are handed in.
        clips_deleted_after: results that are taken before the clips that are to be deleted are.
        shut_down_after: results that are taken before the processor is shut down; None for the end.
    """

    number: int
    segments: tuple[PlannedSegment, ...]
    clips_deleted_after: int = 0
    shut_down_after: int | None = None


def plan_round(seed: int, number: int, requests: Sequence[SoakRequest], healthy: int) -> RoundPlan:
    """Draw round `number`: every fault at least once, and `healthy` segments to which nothing is done.

    Time-outs take as long as a time-out is. They come first, so that the others go on around them; the rest are
    shuffled.
    """
    source = random.Random(f"{seed}:{number}")  # noqa: S311 - reproducible, not cryptographic
    early = [HANGS, STALLS]
    kinds = [fault for fault in FAULTS if fault not in early]
    kinds += [*_TWICE, *[CLIP_DELETED] * (_DOOMED - 2), *[""] * healthy]
    source.shuffle(kinds)
    segments = tuple(_planned(source, place, fault, requests) for place, fault in enumerate([*early, *kinds]))
    shuts_down = number % SHUT_DOWN_EVERY == 1
    after = source.randint(len(segments) // 3, 2 * len(segments) // 3) if shuts_down else None
    return RoundPlan(number, segments, source.randint(4, len(segments) // 2), after)


def plain_round(number: int, requests: Sequence[SoakRequest], segments: int) -> RoundPlan:
    """Return a round without faults, of all families in turn."""
    chosen = (requests[(number + _STRIDE * place) % len(requests)] for place in range(segments))
    return RoundPlan(number, tuple(PlannedSegment(place, request) for place, request in enumerate(chosen)))


def _planned(source: random.Random, index: int, fault: str, requests: Sequence[SoakRequest]) -> PlannedSegment:
    stage = source.choice(STAGES[1:]) if fault in (KILLED_ONCE, KILLED_TWICE) else ""
    for_stage = next((name for name, kind in RAISES.items() if kind == fault), stage)
    fitting = [request for request in requests if _fits(request, fault, for_stage)]
    # About when it is being spoken: sixteen workers are that far ahead of what has been taken.
    after = max(0, index - source.randint(1, _AHEAD)) if fault == CANCELLED else 0
    return PlannedSegment(index, source.choice(fitting), fault, stage, after)


def _fits(request: SoakRequest, fault: str, stage: str) -> bool:
    if stage == "speech tokens" and request.family == CONVERTING:
        return False  # it reads them off a recording
    # Only a request with a clip has one to be prepared, or deleted.
    return request.clip is not None or (stage != "voice" and fault != CLIP_DELETED)
