"""Clips of every bad kind, and of unusual kinds that are not bad."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import soundfile

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray


@dataclass(frozen=True)
class ClipCase:
    """A clip: `make` puts it at a path and returns where it is; `told` is part of the one line, empty if it works."""

    name: str
    make: Callable[[Path], Path]
    told: str = ""


def noise(seconds: float = 1.0, rate: int = 24_000, channels: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (int(rate * seconds), channels))


def _audio(
    seconds: float = 1.0, rate: int = 24_000, channels: int = 1, subtype: str = "PCM_16", suffix: str = ".wav"
) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        target = path.with_suffix(suffix)
        soundfile.write(str(target), noise(seconds, rate, channels), rate, subtype=subtype)
        return target

    return make


def _filled(value: float) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        soundfile.write(str(path), np.full(24_000, value), 24_000, subtype="FLOAT")
        return path

    return make


def _one_bad_sample(path: Path) -> Path:
    samples = noise()
    samples[7] = np.inf
    soundfile.write(str(path), samples, 24_000, subtype="FLOAT")
    return path


def _bytes(content: bytes) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        path.write_bytes(content)
        return path

    return make


def _cut(at: int) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        _audio()(path)
        path.write_bytes(path.read_bytes()[:at])
        return path

    return make


def _named(name: str) -> Callable[[Path], Path]:
    def make(path: Path) -> Path:
        target = path.with_name(name)
        _audio()(path)
        return path.rename(target)

    return make


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path.name)
    return path


def _link(path: Path) -> Path:
    path.symlink_to(_audio()(path.with_name("real.wav")))
    return path


def _dangling(path: Path) -> Path:
    path.symlink_to(path.with_name("nothing.wav"))
    return path


def _unreadable(path: Path) -> Path:
    # For root too, whom no permission stops: a file that is there, and whose first byte cannot be read.
    path.symlink_to("/proc/self/mem")
    return path


def _flac_that_claims(samples: int) -> Callable[[Path], Path]:
    """A length of 0 is one that the writer did not know, as into a pipe."""

    def make(path: Path) -> Path:
        target = _audio(suffix=".flac")(path)
        content = bytearray(target.read_bytes())
        content[21] = content[21] & 0xF0 | samples >> 32
        content[22:26] = (samples & 0xFFFFFFFF).to_bytes(4, "big")
        target.write_bytes(content)
        return target

    return make


_M4A = b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00M4A mp42isom" + b"\x00" * 64
_NO_AUDIO = "cannot be read as audio"
CLIPS = (
    ClipCase("absent", lambda path: path, "does not exist"),
    ClipCase("empty", _bytes(b""), "is empty (0 bytes)"),
    ClipCase("cut off in the header", _cut(20), _NO_AUDIO),
    ClipCase("header alone", _cut(44), "lasts 0.000 s"),
    ClipCase("cut off in the samples", _cut(24_000)),
    ClipCase("unknown length", _flac_that_claims(0), _NO_AUDIO),
    ClipCase("claims gigabytes", _flac_that_claims(2**36 - 1), _NO_AUDIO),
    ClipCase("far too loud", _filled(1e25), "has a peak of 1.0e+25; expected at most 1e+10"),
    ClipCase("text renamed", _bytes(b"Dear diary,\n"), _NO_AUDIO),
    ClipCase("picture renamed", _bytes(b"\x89PNG\r\n\x1a\n" + b"\x00" * 64), _NO_AUDIO),
    ClipCase("m4a", _bytes(_M4A), _NO_AUDIO),
    ClipCase("folder", _folder, "is not a file"),
    ClipCase("device", lambda _path: Path("/dev/zero"), "is not a file"),
    ClipCase("link to itself", _loop, "does not exist"),
    ClipCase("link to nothing", _dangling, "does not exist"),
    ClipCase("link to a clip", _link),
    ClipCase("unreadable", _unreadable, "cannot be read"),
    ClipCase("name too long", lambda path: path.with_name("a" * 300 + ".wav"), "cannot be read"),
    ClipCase("10 ms", _audio(0.01), "lasts 0.010 s"),
    ClipCase("1 Hz", _audio(300.0, rate=1), "has a sample rate of 1 Hz"),
    ClipCase("silent", _filled(0.0), "is silent"),
    ClipCase("NaN", _filled(np.nan), "NaN or infinite"),
    ClipCase("one infinite sample", _one_bad_sample, "NaN or infinite"),
    ClipCase("8-bit", _audio(subtype="PCM_U8")),
    ClipCase("24-bit", _audio(subtype="PCM_24")),
    ClipCase("32-bit float", _audio(subtype="FLOAT")),
    ClipCase("64-bit float", _audio(subtype="DOUBLE")),
    ClipCase("stereo", _audio(channels=2)),
    ClipCase("5.1", _audio(channels=6)),
    ClipCase("192 kHz", _audio(rate=192_000)),
    ClipCase("8 kHz", _audio(rate=8_000)),
    ClipCase("10 min", _audio(600.0, rate=16_000)),
    ClipCase("FLAC", _audio(suffix=".flac")),
    ClipCase("OGG", _audio(suffix=".ogg", subtype="VORBIS")),
    ClipCase("MP3", _audio(suffix=".mp3", subtype="MPEG_LAYER_III")),
    ClipCase("WAV with no suffix", _named("clip")),
    ClipCase("name in other scripts", _named("\u05e7\u05d5\u05dc \U0001f600.wav")),
)
