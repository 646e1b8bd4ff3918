"""A clip and its words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts.errors import InvalidClipError, InvalidParameterError
from stateless_tts.synthetic import write_clip

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.usefixtures("f5_is_installed")


def test_a_clip_is_read_as_it_is(tmp_path: Path) -> None:
    from stateless_tts.f5 import F5Voice

    voice = F5Voice.from_clip(write_clip(tmp_path / "clip.wav", seed=1, seconds=1.0), " So it was said ")
    assert voice.text == "So it was said."
    assert voice.samples.shape == (1, 24_000)
    assert (voice.sample_rate, voice.seconds) == (24_000, 1.0)


def test_a_sentence_keeps_its_end(tmp_path: Path) -> None:
    from stateless_tts.f5 import F5Voice

    clip = write_clip(tmp_path / "clip.wav", seed=1, seconds=0.5)
    for text in ("Was it said?", "是。"):
        assert F5Voice.from_clip(clip, text).text == text


def test_what_no_voice_can_be_made_of(tmp_path: Path) -> None:
    from stateless_tts.f5 import F5Voice

    clip = write_clip(tmp_path / "long.wav", seed=1, seconds=16.0)
    with pytest.raises(InvalidClipError, match=r"lasts 16.0 s; expected at most 15 s"):
        F5Voice.from_clip(clip, "So it was said.")
    with pytest.raises(InvalidParameterError, match="ref_text='': expected the words"):
        F5Voice.from_clip(clip, "")
    with pytest.raises(InvalidClipError, match="does not exist"):
        F5Voice.from_clip(tmp_path / "absent.wav", "So it was said.")
