"""Reference clips made of nothing but a seed: harmonics of a gliding pitch, shaped by a few formants."""

from __future__ import annotations

import hashlib
import wave
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import random
    from pathlib import Path

SAMPLE_RATE = 24_000
PEAK = 0.6
NOISE = 0.003
SYLLABLES_PER_S = 4.0
BANDWIDTH_HZ = 110.0


@dataclass(frozen=True)
class VoiceRecipe:
    """How a clip sounds.

    Attributes:
        name: file name without its ending.
        f0_hz: pitch.
        formants_hz: where the spectrum has its three peaks.
        length_s: seconds.
        seed: seeds breath noise and syllable lengths.
    """

    name: str
    f0_hz: float
    formants_hz: tuple[float, float, float]
    length_s: float
    seed: int


@dataclass(frozen=True)
class Clip:
    """A clip on disk, the recipe it was made from, and the SHA-256 of the file."""

    recipe: VoiceRecipe
    path: Path
    sha256: str


def draw_recipes(random_source: random.Random, count: int) -> tuple[VoiceRecipe, ...]:
    """Draw `count` recipes whose pitches and lengths are spread out, so that no two clips are alike."""
    recipes = []
    for place in range(count):
        spread = (place + random_source.random()) / count
        recipes.append(
            VoiceRecipe(
                name=f"voice-{place + 1}",
                f0_hz=round(90 * 2.6**spread, 1),
                formants_hz=(
                    round(random_source.uniform(350, 800)),
                    round(random_source.uniform(1000, 2000)),
                    round(random_source.uniform(2300, 3200)),
                ),
                length_s=round(random_source.uniform(3.0, 4.5), 2),
                seed=random_source.getrandbits(32),
            )
        )
    return tuple(recipes)


def synthesise(recipe: VoiceRecipe) -> npt.NDArray[np.float64]:
    """Return the clip as (samples,) float64 between -1 and 1, at 24 kHz."""
    generator = np.random.default_rng(recipe.seed)
    time = np.arange(round(recipe.length_s * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = recipe.f0_hz * (1 + 0.06 * np.sin(2 * np.pi * 0.7 * time) + 0.015 * np.sin(2 * np.pi * 5.3 * time))
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    signal = np.zeros_like(time)
    for harmonic in range(1, int(0.4 * SAMPLE_RATE / (1.08 * recipe.f0_hz))):
        distance = (harmonic * recipe.f0_hz - np.array(recipe.formants_hz)) / BANDWIDTH_HZ
        loudness = float(np.sum(1 / (1 + distance**2))) + 0.02
        signal += loudness / harmonic * np.sin(harmonic * phase)
    signal *= _syllables(time, generator)
    signal += NOISE * np.max(np.abs(signal)) * generator.standard_normal(time.size)
    return np.asarray(PEAK * signal / np.max(np.abs(signal)))


def write_clip(recipe: VoiceRecipe, folder: Path) -> Clip:
    """Write the clip as 16-bit mono WAV into `folder`."""
    path = folder / f"{recipe.name}.wav"
    samples = np.round(synthesise(recipe) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(samples.tobytes())
    return Clip(recipe, path, hashlib.sha256(path.read_bytes()).hexdigest())


def _syllables(time: npt.NDArray[np.float64], generator: np.random.Generator) -> npt.NDArray[np.float64]:
    """Loudness over time: a slow swell per syllable, of uneven length."""
    rate = SYLLABLES_PER_S * (1 + 0.3 * np.sin(2 * np.pi * 0.37 * time + generator.uniform(0, 2 * np.pi)))
    turns = np.cumsum(rate) / SAMPLE_RATE
    return np.asarray(0.08 + 0.92 * np.sin(np.pi * turns) ** 2)
