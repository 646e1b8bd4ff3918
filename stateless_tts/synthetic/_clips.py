"""Reference clips made of arithmetic: a pulse train through formants, different for every seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import soundfile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLIP_RATE_HZ = 24_000


def synthetic_clip(seed: int, seconds: float = 3.0) -> NDArray[np.float32]:
    """Return a voice-like waveform of shape (samples,) in [-0.9, 0.9] at 24 kHz; the seed decides who speaks."""
    rng = np.random.default_rng(seed)
    time = np.arange(int(seconds * CLIP_RATE_HZ)) / CLIP_RATE_HZ
    pitch = rng.uniform(90, 240) * (1 + 0.1 * np.sin(2 * np.pi * rng.uniform(1, 3) * time))
    phase = 2 * np.pi * np.cumsum(pitch) / CLIP_RATE_HZ
    formants = np.sort(rng.uniform(300, 3500, size=3))
    wave = np.zeros_like(time)
    for harmonic in range(1, 30):
        frequency = harmonic * pitch.mean()
        loudness = sum(np.exp(-(((frequency - formant) / 250.0) ** 2)) for formant in formants)
        wave += (loudness + 0.05 / harmonic) * np.sin(harmonic * phase + rng.uniform(0, 2 * np.pi))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * rng.uniform(2, 5) * time + rng.uniform(0, 6))
    wave = wave * syllables + 0.01 * rng.standard_normal(time.size)
    clip: NDArray[np.float32] = (0.9 * wave / np.abs(wave).max()).astype(np.float32)
    return clip


def write_clip(path: Path, seed: int, seconds: float = 3.0) -> Path:
    """Write `synthetic_clip(seed, seconds)` to `path` as a 16-bit WAV file and return the path."""
    soundfile.write(str(path), synthetic_clip(seed, seconds), CLIP_RATE_HZ, subtype="PCM_16")
    return path
