from __future__ import annotations

import pytest

from stateless_tts.script import Pause, ScriptError, Speech, read_script


def test_plain_text_is_one_piece() -> None:
    assert read_script("Hello.").pieces == (Speech("Hello.", "narrator", "en"),)


def test_characters_languages_and_pauses() -> None:
    script = read_script(
        "Hi. [ANN] Yes. [pause:1.5s] [de:Bob] Ja. [fr:] Oui. [pause: 250ms]", characters=["Ann", "Bob"]
    )
    assert script.pieces == (
        Speech("Hi.", "narrator", "en"),
        Speech("Yes.", "Ann", "en"),
        Pause(1.5),
        Speech("Ja.", "Bob", "de"),
        Speech("Oui.", "Bob", "fr"),
        Pause(0.25),
    )
    assert script.warnings == ()


def test_an_unknown_character_is_warned_of_and_speaks_with_the_default_voice() -> None:
    script = read_script("[Zoe] Hi.", characters=["Ann"])
    assert script.pieces == (Speech("Hi.", "narrator", "en"),)
    assert script.warnings == ("[Zoe]: no voice is given for 'Zoe'; the voice of 'narrator' is used",)


def test_the_first_speaker_has_the_voice_of_that_name_however_it_is_written() -> None:
    script = read_script("Hi. [narrator] Ho. [Zoe] Hum.", characters=["Narrator"])
    assert script.pieces == tuple(Speech(text, "Narrator", "en") for text in ("Hi.", "Ho.", "Hum."))


def test_sounds_stay_in_the_text_of_a_model_that_has_them() -> None:
    script = read_script(
        "Oh. [laugh] No [Ann] Yes [sigh] [pause:1s] [de:Bob] Ja.", characters=["Ann"], keep_sounds=True
    )
    assert script.pieces == (
        Speech("Oh. [laugh] No", "narrator", "en"),
        Speech("Yes [sigh]", "Ann", "en"),
        Pause(1.0),
        Speech("Ja.", "narrator", "de"),
    )
    assert script.warnings == ("[de:Bob]: no voice is given for 'Bob'; the voice of 'narrator' is used",)


def test_what_is_no_tag_is_warned_of() -> None:
    assert read_script("[a:b:c] Hi.").warnings == ("[a:b:c]: not a tag that is known; it is not spoken",)


@pytest.mark.parametrize("tag", ["[pause:]", "[pause:-1s]", "[pause:soon]", "[pause:601]", "[pause:1e9]"])
def test_a_pause_that_is_none_is_named(tag: str) -> None:
    with pytest.raises(ScriptError, match=r"pause.*: expected a pause such as"):
        read_script(f"Hi. {tag}")


@pytest.mark.parametrize("text", ["", "  ", "[pause:1s]", "\x00", "[Ann]"])
def test_nothing_to_say_is_an_error(text: str) -> None:
    with pytest.raises(ScriptError, match="nothing to say"):
        read_script(text, characters=["Ann"])


def test_long_speech_is_split() -> None:
    pieces = read_script("One two. Three four. Five.", max_characters=20).pieces
    assert [piece.text for piece in pieces if isinstance(piece, Speech)] == ["One two. Three four.", "Five."]
