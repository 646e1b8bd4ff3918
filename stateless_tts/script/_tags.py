"""Tags in square brackets: who speaks, in which language, and pauses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stateless_tts.errors import StatelessTTSError

from ._sentences import MAX_CHARACTERS, split_text

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_PAUSE_SECONDS = 600.0

_TAG = re.compile(r"\[([^\[\]\n]{1,80})\]")
_PAUSE = re.compile(r"pause\s*:(.*)", re.IGNORECASE)
_SECONDS = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)\s*(s|ms)?\s*", re.IGNORECASE)
_SPEAKER = re.compile(r"(?:(?P<language>[A-Za-z]{2,3}(?:[-_][A-Za-z]+)?)\s*:)?\s*(?P<character>[^:]*)")


class ScriptError(StatelessTTSError, ValueError):
    """A text, a tag or a subtitle cannot be understood."""


@dataclass(frozen=True)
class Speech:
    """Something to say in one go.

    Attributes:
        text: without tags.
        character: who says it.
        language: code of the language.
    """

    text: str
    character: str
    language: str


@dataclass(frozen=True)
class Pause:
    """Silence, in seconds, that was asked for."""

    seconds: float


@dataclass(frozen=True)
class Script:
    """A text, taken apart.

    Attributes:
        pieces: speech and pauses, in order.
        warnings: what was understood otherwise than it may have been meant.
    """

    pieces: tuple[Speech | Pause, ...]
    warnings: tuple[str, ...] = ()


def read_script(
    text: str,
    *,
    characters: Collection[str] = (),
    character: str = "narrator",
    language: str = "en",
    max_characters: int = MAX_CHARACTERS,
    keep_sounds: bool = False,
) -> Script:
    """Take `text` apart at its tags, and long speech at its sentences.

    ``[Ann]`` lets Ann speak from here on, ``[de:Ann]`` in German, ``[de:]`` changes the language alone, and
    ``[pause:1.5s]`` or ``[pause:500ms]`` is silence. A character that is not among `characters` speaks with the
    default voice, and is warned of; with `keep_sounds` it is taken for a sound, such as ``[laugh]``, and stays where it
    is in the text.

    Args:
        text: what was written.
        characters: names that have a voice; upper and lower case are the same.
        character: who speaks before the first tag.
        language: of what is said before the first tag.
        max_characters: longest piece of speech.
        keep_sounds: whether the model has tags of its own for sounds, as Turbo has.

    Raises:
        ScriptError: a pause cannot be understood, or there is nothing to say.
    """
    known = {name.casefold(): name for name in (character, *characters)}
    character = known[character.casefold()]  # as its voice is named
    pieces: list[Speech | Pause] = []
    warnings: list[str] = []
    default = character
    for index, part in enumerate(_parts(text, known if keep_sounds else None)):
        if index % 2 == 0:
            pieces.extend(Speech(piece, character, language) for piece in split_text(part, max_characters))
        elif pause := _PAUSE.fullmatch(part.strip()):
            pieces.append(Pause(_seconds(part, pause[1])))
        elif speaker := _SPEAKER.fullmatch(part.strip()):
            name = speaker["character"].strip()
            language = speaker["language"] or language
            if name and name.casefold() not in known:
                warnings.append(f"[{part}]: no voice is given for {name!r}; the voice of {default!r} is used")
            character = known.get(name.casefold(), default) if name else character
        else:
            warnings.append(f"[{part}]: not a tag that is known; it is not spoken")
    if not any(isinstance(piece, Speech) for piece in pieces):
        raise ScriptError(f"text={_shortened(text)!r}: there is nothing to say in it")
    return Script(tuple(pieces), tuple(warnings))


def _parts(text: str, known: Collection[str] | None) -> list[str]:
    """Split `text` at its tags: text and tags in turn. Given `known`, tags without a colon not in it stay text."""
    split = _TAG.split(text)
    parts = split[:1]
    for tag, after in zip(split[1::2], split[2::2], strict=True):
        if known is not None and ":" not in tag and tag.strip().casefold() not in known:
            parts[-1] += f"[{tag}]{after}"
        else:
            parts += [tag, after]
    return parts


def _seconds(tag: str, amount: str) -> float:
    match = _SECONDS.fullmatch(amount)
    seconds = float(match[1]) / (1000 if (match[2] or "").lower() == "ms" else 1) if match else -1.0
    if not 0 <= seconds <= MAX_PAUSE_SECONDS:
        raise ScriptError(f"[{tag}]: expected a pause such as [pause:1.5s] or [pause:500ms], up to 600 s")
    return seconds


def _shortened(text: str) -> str:
    return text if len(text) <= 40 else text[:40] + "..."  # noqa: PLR2004 - enough to recognise it by
