"""Clips that no voice can come of are refused before any model runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import soundfile

from stateless_tts import InvalidClipError
from stateless_tts.synthetic import synthetic_clip
from stateless_tts.voice import check_clip, read_clip

if TYPE_CHECKING:
    from pathlib import Path

RATE = 24_000


def _write(path: Path, samples: object, subtype: str = "FLOAT", rate: int = RATE) -> Path:
    soundfile.write(str(path), samples, rate, subtype=subtype)
    return path


def test_a_clip_keeps_its_content_and_is_known_by_it(tmp_path: Path) -> None:
    first = _write(tmp_path / "a.wav", synthetic_clip(1, 0.5))
    second = tmp_path / "b.wav"
    second.write_bytes(first.read_bytes())
    other = _write(tmp_path / "c.wav", synthetic_clip(2, 0.5))
    assert read_clip(first).digest == read_clip(second).digest != read_clip(other).digest
    clip = read_clip(first)
    content = first.read_bytes()
    first.unlink()
    assert clip.open().read() == content


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (np.zeros(RATE, np.float32), "silent"),
        (np.full(RATE, 5e-5, np.float32), "silent"),
        (np.stack([synthetic_clip(1, 1.0), -synthetic_clip(1, 1.0)], axis=1), "silent"),
        (np.where(np.arange(RATE) == 9, np.nan, 0.1).astype(np.float32), "1 samples that are NaN"),
        (np.where(np.arange(RATE) < 2, np.inf, 0.1).astype(np.float32), "2 samples that are NaN or infinite"),
        (synthetic_clip(1, 0.01), "lasts 0.010 s; expected at least 0.1 s"),
        (np.zeros(0, np.float32), "lasts 0.000 s"),
    ],
)
def test_audio_without_a_voice_is_refused(tmp_path: Path, samples: object, message: str) -> None:
    path = _write(tmp_path / "clip.wav", samples)
    with pytest.raises(InvalidClipError, match=message) as refusal:
        check_clip(read_clip(path))
    assert str(path) in str(refusal.value)


def test_files_that_are_no_audio_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidClipError, match="does not exist"):
        read_clip(tmp_path / "absent.wav")
    with pytest.raises(InvalidClipError, match="not a file"):
        read_clip(tmp_path)
    empty = tmp_path / "empty.wav"
    empty.touch()
    with pytest.raises(InvalidClipError, match="empty"):
        read_clip(empty)
    text = tmp_path / "text.wav"
    text.write_text("not audio at all", encoding="utf-8")
    with pytest.raises(InvalidClipError, match="cannot be read as audio"):
        check_clip(read_clip(text))
    with pytest.raises(InvalidClipError, match="cannot be read"):
        read_clip("a" * 300)
    with pytest.raises(InvalidClipError, match=r"does not exist|cannot be read"):
        read_clip("a\ud800.wav")


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_usual_format_is_read(tmp_path: Path, subtype: str, channels: int) -> None:
    samples = np.stack([synthetic_clip(1, 0.5)] * channels, axis=1)
    assert check_clip(read_clip(_write(tmp_path / "clip.wav", samples, subtype))) == 0.5


def test_a_recording_to_convert_may_be_silent(tmp_path: Path) -> None:
    silence = read_clip(_write(tmp_path / "clip.wav", np.zeros(RATE, np.float32)))
    assert check_clip(silence, silence_allowed=True) == 1.0
