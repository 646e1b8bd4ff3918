"""Segments to speak: plain English sentences, put together from a seed."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random

_WHO = (
    "the night porter", "my sister", "an old sailor", "the choir", "our neighbour", "the pilot",
    "a small boy", "the librarian", "the last guest", "her teacher", "the baker", "a stray dog",
)  # fmt: skip
_DOES = (
    "opened the window", "counted every step", "waited for the rain", "found a blue coat",
    "kept the letter", "walked along the river", "sang the second verse", "turned off the radio",
    "forgot the number", "followed the lights", "closed the heavy gate", "asked for directions",
)  # fmt: skip
_WHEN = (
    "before sunrise", "after the concert", "without a word", "in the middle of winter", "twice a week",
    "while the kettle boiled", "on the way home", "as the clock struck nine", "for no good reason",
)  # fmt: skip
_SHORT = (
    "Good morning to you.", "Where is the key?", "That was quite close!", "Read it once more.",
    "Nobody heard a thing.", "Turn left at the oak.", "Is the kettle on yet?", "We leave at seven.",
)  # fmt: skip
LARGE_LEAST, LARGE_MOST = 160, 280


def short_segment(random_source: random.Random) -> str:
    """About 20 characters."""
    return random_source.choice(_SHORT)


def large_segment(random_source: random.Random) -> str:
    """160 to 280 characters, several sentences."""
    wanted = random_source.randint(LARGE_LEAST, LARGE_MOST - 80)
    text = ""
    while len(text) < wanted:
        who, does, when = (random_source.choice(words) for words in (_WHO, _DOES, _WHEN))
        text += f"{who.capitalize()} {does} {when}. "
    return text.strip()


def segment_of(random_source: random.Random, characters: int) -> str:
    """As many whole words as come closest to `characters` from below, at least one."""
    text = ""
    while len(text) < characters:
        who, does, when = (random_source.choice(words) for words in (_WHO, _DOES, _WHEN))
        text += f"{who.capitalize()} {does} {when}. "
    if len(text) > characters:
        text = text[: characters + 1].rpartition(" ")[0] or text.partition(" ")[0]
    return text.rstrip(" .,") + "."
