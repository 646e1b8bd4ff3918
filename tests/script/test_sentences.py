from __future__ import annotations

from hypothesis import given, strategies

from stateless_tts.script import split_text


def test_short_texts_stay_whole() -> None:
    assert split_text("Hello there. How are you?") == ["Hello there. How are you?"]


def test_long_texts_are_split_at_sentences_then_clauses_then_words() -> None:
    assert split_text("One two. Three four. Five.", 20) == ["One two. Three four.", "Five."]
    assert split_text("One, two, three, four", 10) == ["One, two,", "three,", "four"]
    assert split_text("alpha beta gamma", 11) == ["alpha beta", "gamma"]
    assert split_text("abcdefgh", 3) == ["abc", "def", "gh"]


def test_what_takes_a_syllable_to_say_counts_as_three() -> None:
    assert split_text("你好。再见。", 9) == ["你好。", "再见。"]
    assert split_text("안녕하세요", 6) == ["안녕", "하세", "요"]
    assert split_text("你好", 1) == ["你", "好"]
    # 40 s of speech hold about 160 syllables.
    assert max(map(len, split_text("字" * 1000))) == 100


def test_twenty_thousand_characters() -> None:
    text = "The quick brown fox jumps over the lazy dog. " * 445
    pieces = split_text(text)
    assert max(map(len, pieces)) <= 300
    assert " ".join(pieces) == text.strip()


def test_nothing_to_say() -> None:
    assert split_text(" \t\n\x00\x07 ") == []


def test_emoji_and_right_to_left_are_kept() -> None:
    text = "👩‍👩‍👧 שלום \u200fעולם"  # noqa: RUF001 - Hebrew is what it is about
    assert split_text(text) == [text]


@given(strategies.text(), strategies.integers(1, 40))
def test_nothing_is_lost_and_no_piece_is_too_long(text: str, most: int) -> None:
    pieces = split_text(text, most)
    whole = "".join(split_text(text, 10**9)).replace(" ", "")
    assert "".join(pieces).replace(" ", "") == whole
    assert all(0 < len(piece) <= most for piece in pieces)
