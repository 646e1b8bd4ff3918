"""The benchmark's workload: utterances of 1 to 4 s, three voices, prompts of 3 and 6 s."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.workload.clips import Clip, VoiceRecipe, write_clip
from harness.workload.speech import CLIP_FOLDER, Utterance, Workload
from harness.workload.texts import segment_of
from stateless_tts import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

VOICES = ((98.0, (430.0, 1150.0, 2500.0)), (142.0, (560.0, 1480.0, 2700.0)), (205.0, (690.0, 1820.0, 2950.0)))
PROMPT_S = (3.0, 6.0)
# Every four requests in a row hold one of each length, and every first two average the middle.
STRATA_S = ((3.25, 4.0), (1.0, 1.75), (1.75, 2.5), (2.5, 3.25))
TOKENS_PER_S = 25.0


@dataclass(frozen=True)
class Pace:
    """How many speech tokens a T3 says: some in any case, and more for each character of the text."""

    tokens_before: float
    tokens_per_character: float

    def characters(self, seconds: float) -> int:
        """Return how many characters are spoken for about `seconds`."""
        return max(1, round((TOKENS_PER_S * seconds - self.tokens_before) / self.tokens_per_character))


TINY = Pace(15.0, 0.23)
# Close to trained weights, which speak about 15 characters a second.
FULL = Pace(10.0, 1.5)
TRAINED = Pace(0.0, TOKENS_PER_S / 15.0)
# bfloat16 holds these exactly; stock rebuilds its conditioning in float32 for any other value, and then cannot go on.
EXAGGERATIONS = (0.25, 0.5, 0.75, 1.0)


def make_bench_workload(
    seed: int,
    utterances: int,
    folder: Path,
    *,
    pace: Pace = TINY,
    strata_s: Sequence[tuple[float, float]] = STRATA_S,
) -> Workload:
    """Draw the workload from `seed` and write its six clips into `folder`/clips.

    Args:
        seed: decides voices' breath, texts and parameters.
        utterances: how many distinct requests; a longer workload begins with the shorter one.
        folder: where the clips go.
        pace: of the T3 that speaks them.
        strata_s: shortest and longest audio, in seconds, that requests are drawn between, in turn.
    """
    voices = _write_voices(seed, folder)
    drawn = []
    for place in range(utterances):
        # A source of its own for each place: the first requests do not depend on how many there are.
        source = random.Random(f"{seed}/{place}")  # noqa: S311 - reproducible, not cryptographic
        seconds = source.uniform(*strata_s[place % len(strata_s)])
        drawn.append(_draw(source, seconds, voices[place % len(voices)], pace.characters(seconds)))
    return Workload(seed, voices, tuple(drawn))


def _write_voices(seed: int, folder: Path) -> tuple[Clip, ...]:
    clip_folder = folder / CLIP_FOLDER
    clip_folder.mkdir(parents=True, exist_ok=True)
    recipes = [
        VoiceRecipe(f"voice-{place + 1}-{length:g}s", f0_hz, formants, length, seed * 1000 + 10 * place + round(length))
        for length in PROMPT_S
        for place, (f0_hz, formants) in enumerate(VOICES)
    ]
    # Neighbouring requests get different speakers and different prompt lengths.
    dealt = [recipes[place] for place in (0, 4, 2, 3, 1, 5)]
    return tuple(write_clip(recipe, clip_folder) for recipe in dealt)


def _draw(source: random.Random, seconds: float, clip: Clip, characters: int) -> Utterance:
    request = SpeechRequest(
        text=segment_of(source, characters),
        audio_prompt_path=clip.path,
        exaggeration=source.choice(EXAGGERATIONS),
        cfg_weight=round(source.uniform(0.3, 0.7), 2),
        temperature=round(source.uniform(0.6, 1.0), 2),
        seed=source.getrandbits(31),
    )
    return Utterance(clip.recipe.name, f"{seconds:.1f} s", request)
