"""The soak's requests: every family, several voices, the same list from the same seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from harness.workload.texts import segment_of, short_segment

if TYPE_CHECKING:
    from collections.abc import Mapping

SPEAKING = ("english", "multilingual", "turbo")
CONVERTING = "vc"
FAMILIES = (*SPEAKING, CONVERTING)
# Seconds of each clip by name; Turbo takes none of 5 s or less.
CLIPS = {"short": 1.1, "middle": 2.2, "long": 5.4}
RECORDINGS = ("said-1", "said-2")
RECORDING_SECONDS = 0.8
# Of upstream's 23 languages, some that need nothing but letters.
LANGUAGES = ("fr", "de", "es", "en")
SENTENCE = 60


@dataclass(frozen=True)
class SoakRequest:
    """What one segment asks for.

    Attributes:
        key: names the request and its reference.
        family: whose model carries it out.
        seed: as for `torch.manual_seed`.
        text: what to say; empty for a conversion.
        clip: name of the reference clip; None is the model's own voice.
        recording: name of what is converted.
        language: code.
        parameters: of speech, by name.
    """

    key: str
    family: str
    seed: int
    text: str = ""
    clip: str | None = None
    recording: str = ""
    language: str = "en"
    parameters: Mapping[str, Any] = field(default_factory=dict)


def make_requests(seed: int, per_family: int = 5) -> tuple[SoakRequest, ...]:
    """Draw `per_family` requests of every family; voices are dealt out in turn."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not cryptographic
    return tuple(_draw(source, family, place) for family in FAMILIES for place in range(per_family))


def _draw(source: random.Random, family: str, place: int) -> SoakRequest:
    key, seed = f"{family}-{place}", source.getrandbits(31)
    if family == CONVERTING:
        clip = (None, "short", "middle")[place % 3]
        return SoakRequest(key, family, seed, clip=clip, recording=RECORDINGS[place % len(RECORDINGS)])
    # Multilingual speaks three times as long as the others.
    is_long = place % 3 == 0 and family != "multilingual"
    text = segment_of(source, SENTENCE) if is_long else short_segment(source)
    clips: tuple[str | None, ...] = (None, "long") if family == "turbo" else (None, "short", "middle")
    parameters = {"temperature": round(source.uniform(0.6, 1.0), 2)}
    if family != "turbo":
        parameters["exaggeration"] = round(source.uniform(0.3, 0.9), 2)
        parameters["cfg_weight"] = round(source.uniform(0.2, 0.8), 2)
    language = LANGUAGES[place % len(LANGUAGES)] if family == "multilingual" else "en"
    return SoakRequest(key, family, seed, text, clips[place % len(clips)], "", language, parameters)
