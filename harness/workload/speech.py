"""The speech workload: distinct requests that mix voices, segment lengths and parameters."""

from __future__ import annotations

import random
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.workload.clips import Clip, draw_recipes, write_clip
from harness.workload.texts import large_segment, short_segment
from stateless_tts import SpeechRequest
from stateless_tts.request import EnglishDefault

if TYPE_CHECKING:
    from collections.abc import Mapping

CLIPS = 3
LARGE_EVERY = 5
BUILT_IN_VOICE = "built-in"
CLIP_FOLDER = "clips"


@dataclass(frozen=True)
class Utterance:
    """One request of the workload, and what it is a sample of."""

    voice: str
    length: str
    request: SpeechRequest


@dataclass(frozen=True)
class Workload:
    """Distinct requests, made from `seed` alone; a run goes through them in a circle."""

    seed: int
    clips: tuple[Clip, ...]
    utterances: tuple[Utterance, ...]

    @property
    def requests(self) -> tuple[SpeechRequest, ...]:
        return tuple(utterance.request for utterance in self.utterances)

    def as_json(self) -> dict[str, Any]:
        """Everything that is needed to make the same requests again."""
        return {
            "seed": self.seed,
            "voices": [
                {**asdict(clip.recipe), "file": f"{CLIP_FOLDER}/{clip.path.name}", "sha256": clip.sha256}
                for clip in self.clips
            ],
            "utterances": [
                {"voice": item.voice, "length": item.length, "request": request_as_json(item.request)}
                for item in self.utterances
            ],
        }


def make_workload(seed: int, utterances: int, folder: Path) -> Workload:
    """Draw a workload and write its clips into `folder`/clips.

    Voices (three clips and the built-in one) and lengths (every fifth segment is large) are dealt out in turn,
    so that any eight requests in a row hold them all, and every voice meets both lengths in the long run.
    Texts and parameters are drawn.
    """
    source = random.Random(seed)  # noqa: S311 - reproducible, not cryptographic
    clip_folder = folder / CLIP_FOLDER
    clip_folder.mkdir(parents=True, exist_ok=True)
    clips = tuple(write_clip(recipe, clip_folder) for recipe in draw_recipes(source, CLIPS))
    voices: list[Clip | None] = [*clips, None]
    source.shuffle(voices)
    items = []
    for place in range(utterances):
        voice = voices[place % len(voices)]
        large = place % LARGE_EVERY == 0
        text = large_segment(source) if large else short_segment(source)
        items.append(
            Utterance(
                voice=voice.recipe.name if voice else BUILT_IN_VOICE,
                length="large" if large else "short",
                request=_draw_request(source, text, voice.path if voice else None),
            )
        )
    return Workload(seed, clips, tuple(items))


def request_as_json(request: SpeechRequest) -> dict[str, Any]:
    """Turn a request into plain data; a clip becomes its path, and what is left to the family is left out."""
    values = {name: getattr(request, name) for name in request.__dataclass_fields__}
    # As a plain number, what English defaults to would be what was asked for: other families would take it.
    plain = {name: value for name, value in values.items() if not isinstance(value, EnglishDefault)}
    clip = plain["audio_prompt_path"]
    return {**plain, "audio_prompt_path": None if clip is None else str(clip)}


def request_from_json(plain: Mapping[str, Any]) -> SpeechRequest:
    """Undo `request_as_json`."""
    clip = plain["audio_prompt_path"]
    return SpeechRequest(**{**plain, "audio_prompt_path": None if clip is None else Path(clip)})


def _draw_request(source: random.Random, text: str, clip: Path | None) -> SpeechRequest:
    return SpeechRequest(
        text=text,
        audio_prompt_path=clip,
        exaggeration=round(source.uniform(0.25, 1.0), 2),
        cfg_weight=round(source.uniform(0.2, 0.8), 2),
        temperature=round(source.uniform(0.6, 1.0), 2),
        seed=source.getrandbits(31),
        repetition_penalty=round(source.uniform(1.1, 1.5), 2),
        min_p=round(source.uniform(0.0, 0.08), 3),
        top_p=round(source.uniform(0.9, 1.0), 2),
    )
