"""Reading a reference clip, and refusing what no voice can come of before any model runs."""

from __future__ import annotations

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

from stateless_tts.errors import InvalidClipError

if TYPE_CHECKING:
    import os

# Upstream fails below 0.03 s; a voice needs a syllable at least.
MIN_SECONDS = 0.1
# There is no speech below 1 kHz alone; and a few samples of a rate of 1 Hz become gigabytes at upstream's.
MIN_RATE_HZ = 2000
# -80 dBFS: quieter than any speech, louder than the dither of an empty recording.
SILENCE_PEAK = 1e-4
# Samples that are whole numbers of 32 bits stay below; the power spectrum of what is far above is infinite.
LARGEST_PEAK = 1e10


@dataclass(frozen=True)
class Clip:
    """An audio file as it was when it was read: later changes to the file are not seen.

    Attributes:
        name: where it was read from, for messages.
        content: the file's bytes.
        digest: SHA-256 of the content.
    """

    name: str
    content: bytes
    digest: str

    def open(self) -> io.BytesIO:
        """Return the file's content as a binary stream."""
        return io.BytesIO(self.content)


def read_clip(path: str | os.PathLike[str]) -> Clip:
    """Read the file at `path`; what is in it is for `check_clip` to find out.

    Raises:
        InvalidClipError: the file is missing, empty or cannot be read.
    """
    try:
        file = Path(path)
        if not file.exists():
            raise InvalidClipError(f"reference clip {str(path)!r} does not exist; expected an audio file")
        if not file.is_file():
            raise InvalidClipError(f"reference clip {str(path)!r} is not a file; expected an audio file")
        content = file.read_bytes()
    except (OSError, UnicodeError) as error:
        raise InvalidClipError(f"reference clip {str(path)!r} cannot be read: {error}") from error
    if not content:
        raise InvalidClipError(f"reference clip {str(path)!r} is empty (0 bytes); expected an audio file")
    return Clip(str(path), content, hashlib.sha256(content).hexdigest())


def check_clip(clip: Clip, *, silence_allowed: bool = False) -> float:
    """Check that a voice can be made of `clip`; returns how long it lasts, in seconds.

    Raises:
        InvalidClipError: the clip cannot be read as audio, is silent, holds values that are not finite or above 1e10,
            is shorter than 0.1 s, or has a sample rate below 2 kHz.
    """
    name = clip.name
    try:
        samples, rate = soundfile.read(clip.open(), dtype="float32", always_2d=True)
    # A header may claim any length, and memory is asked for by it.
    except (soundfile.LibsndfileError, ValueError, MemoryError) as error:
        why = error.error_string if isinstance(error, soundfile.LibsndfileError) else str(error)
        raise InvalidClipError(
            f"reference clip {name!r} cannot be read as audio ({why}); "
            f"expected WAV, FLAC, OGG, MP3 or another format of libsndfile"
        ) from error
    if rate < MIN_RATE_HZ:
        raise InvalidClipError(f"reference clip {name!r} has a sample rate of {rate} Hz, below {MIN_RATE_HZ}")
    seconds: float = len(samples) / rate
    if seconds < MIN_SECONDS:
        raise InvalidClipError(f"reference clip {name!r} lasts {seconds:.3f} s; expected at least {MIN_SECONDS} s")
    if not np.isfinite(samples).all():
        bad = int(np.count_nonzero(~np.isfinite(samples)))
        raise InvalidClipError(f"reference clip {name!r} holds {bad} samples that are NaN or infinite")
    largest = float(np.abs(samples).max())
    if largest > LARGEST_PEAK:
        raise InvalidClipError(
            f"reference clip {name!r} has a peak of {largest:.1e}; expected at most {LARGEST_PEAK:.0e}, full scale is 1"
        )
    peak = float(np.abs(samples.mean(axis=1)).max())
    if peak < SILENCE_PEAK and not silence_allowed:
        raise InvalidClipError(
            f"reference clip {name!r} is silent (peak {peak:.1e}); expected a peak of at least {SILENCE_PEAK:.0e}"
        )
    return seconds
