from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.errors import UsageError
from harness.subjects.audited import AUDITED, KeptVoiceCall, short_requests
from harness.subjects.source import ModelSource

if TYPE_CHECKING:
    from pathlib import Path

    from stateless_tts import SpeechRequest


class Recorder:
    """Stands in for upstream's model: keeps what it was asked and which voice it had."""

    def __init__(self) -> None:
        self.conds: object = "kept"
        self.asked: list[tuple[str, object, object]] = []

    def generate(self, text: str, *, audio_prompt_path: object, language_id: object = None, **_rest: object) -> str:
        if audio_prompt_path is not None:
            self.conds = "cloned"
        self.asked.append((text, self.conds, language_id))
        return text


def speak(requests: tuple[SpeechRequest, ...], *, multilingual: bool) -> list[tuple[str, object, object]]:
    model = Recorder()
    call = KeptVoiceCall(model, multilingual=multilingual)
    for request in requests:
        call(request)
    return model.asked


def test_a_request_without_a_clip_speaks_with_the_kept_voice_whoever_spoke_before(tmp_path: Path) -> None:
    asked = speak(short_requests("english", tmp_path), multilingual=False)
    assert [voice for _text, voice, _language in asked] == ["kept", "cloned", "kept"]
    assert {language for *_, language in asked} == {None}


def test_multilingual_requests_name_their_language(tmp_path: Path) -> None:
    asked = speak(short_requests("multilingual", tmp_path), multilingual=True)
    assert None not in {language for *_, language in asked}


def test_other_families_have_synthetic_weights_only() -> None:
    with pytest.raises(UsageError, match="multilingual family is audited with synthetic weights only"):
        AUDITED["upstream-multilingual"](ModelSource(kind="pretrained"))
