"""Splitting long texts where a reader would pause."""

from __future__ import annotations

import itertools
import re
import unicodedata

# Upstream stops at 40 s of speech; at a slow 10 characters per second this leaves a margin.
MAX_CHARACTERS = 300

# After a sentence, after a clause, between words: the first that makes the pieces short enough is used.
_BREAKS = (
    re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|(?<=[。！？])\s*"),
    re.compile(r"(?<=[,;:–—])\s+|(?<=[、，；：])\s*"),
    re.compile(r"\s+"),
)


def split_text(text: str, max_characters: int = MAX_CHARACTERS) -> list[str]:
    """Split `text` into pieces of at most `max_characters`, at the ends of sentences where that is possible.

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
    if len(text) <= most:
        return [text] if text else []
    if not breaks:
        return [text[begin : begin + most] for begin in range(0, len(text), most)]
    pieces: list[str] = []
    for part in _parts(text, breaks[0]):
        if pieces and len(pieces[-1]) + len(part.rstrip()) <= most:
            pieces[-1] += part
        elif len(part.strip()) <= most:
            pieces.append(part)
        else:
            pieces.extend(_split(part.strip(), most, breaks[1:]))
            pieces.append("")  # what follows begins a piece of its own
    return [piece.strip() for piece in pieces if piece.strip()]


def _parts(text: str, pattern: re.Pattern[str]) -> list[str]:
    """Cut `text` after every match; the parts put together are the text."""
    ends = [match.end() for match in pattern.finditer(text) if match.end() > 0]
    bounds = sorted({0, *ends, len(text)})
    return [text[begin:end] for begin, end in itertools.pairwise(bounds)]
