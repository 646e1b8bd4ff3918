"""Splitting long texts where a reader would pause."""

from __future__ import annotations

import itertools
import re
import unicodedata

# Upstream stops at 40 s of speech; at a slow 10 characters per second this leaves a margin.
MAX_CHARACTERS = 300
# A character of Chinese, Japanese or Korean is about a syllable, of which 4 to 5 are read in a second.
_WIDE = 3

# After a sentence, after a clause, between words: the first that makes the pieces short enough is used.
_BREAKS = (
    re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])\s*"),
    re.compile(r"(?<=[,;:–—])\s+|(?<=[、，；：])\s*"),
    re.compile(r"\s+"),
)


def split_text(text: str, max_characters: int = MAX_CHARACTERS) -> list[str]:
    """Split `text` into pieces of at most `max_characters`, at the ends of sentences where that is possible.

    A wide character, as of Chinese, Japanese and Korean, counts as three: it takes that much longer to say.

    Control characters are dropped, white space is joined to single spaces, and nothing else is lost. A text that is
    short enough stays in one piece; one without anything to say gives none.
    """
    kept = "".join(character if _is_text(character) else " " for character in text)
    return _split(" ".join(kept.split()), max_characters, _BREAKS)


def _is_text(character: str) -> bool:
    # Cc: control characters; Cs: lone surrogates, which no tokenizer can encode. Cf holds the marks of
    # right-to-left scripts and the joiners of emoji, which belong to the text.
    return unicodedata.category(character) not in ("Cc", "Cs")


def _split(text: str, most: int, breaks: tuple[re.Pattern[str], ...]) -> list[str]:
    if _length(text) <= most:
        return [text] if text else []
    if not breaks:
        return _cut(text, most)
    pieces: list[str] = []
    for part in _parts(text, breaks[0]):
        if pieces and _length(pieces[-1]) + _length(part.rstrip()) <= most:
            pieces[-1] += part
        elif _length(part.strip()) <= most:
            pieces.append(part)
        else:
            pieces.extend(_split(part.strip(), most, breaks[1:]))
            pieces.append("")  # what follows begins a piece of its own
    return [piece.strip() for piece in pieces if piece.strip()]


def _length(text: str) -> int:
    return sum(_WIDE if unicodedata.east_asian_width(character) in ("W", "F") else 1 for character in text)


def _cut(text: str, most: int) -> list[str]:
    """Cut where nothing is to be heard of a pause: pieces as long as they may be, and of a character at least."""
    pieces = [""]
    for character in text:
        if pieces[-1] and _length(pieces[-1]) + _length(character) > most:
            pieces.append("")
        pieces[-1] += character
    return pieces


def _parts(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Cut `text` after every match; the parts put together are the text."""
    ends = [match.end() for match in pattern.finditer(text) if match.end() > 0]
    bounds = sorted({0, *ends, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(bounds)]
