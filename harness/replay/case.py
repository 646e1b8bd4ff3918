"""A workload small enough to be written on a command line."""

from __future__ import annotations

import json
import shlex
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.run.limits import MAX_THREADS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from stateless_tts import SpeechRequest

VOICES = ("built-in", "one", "two")


@dataclass(frozen=True)
class Utterance:
    """One request in plain data; `voice` is one of `VOICES`, the rest are the fields of `SpeechRequest`."""

    text: str = "Hi."
    voice: str = "built-in"
    exaggeration: float = 0.5
    cfg_weight: float = 0.5
    temperature: float = 0.8
    repetition_penalty: float = 1.2
    min_p: float = 0.05
    top_p: float = 1.0
    seed: int = 0
    max_new_tokens: int = 4

    def request(self, clips: Mapping[str, Path]) -> SpeechRequest:
        """Return the request, with the clip of its voice."""
        from stateless_tts import SpeechRequest  # noqa: PLC0415 - a case can be read without loading torch

        plain = asdict(self)
        voice = plain.pop("voice")
        return SpeechRequest(audio_prompt_path=clips.get(voice), **plain)


@dataclass(frozen=True)
class Case:
    """Utterances, how many threads take them, and the order in which they arrive.

    Raises:
        UsageError: no utterance, a thread count out of range, a voice that is not there, or an order that is none.
    """

    utterances: tuple[Utterance, ...]
    threads: int = 2
    arrival: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.utterances:
            raise UsageError("a case needs at least one utterance")
        if not 1 <= self.threads <= MAX_THREADS:
            raise UsageError(f"threads={self.threads!r}: expected 1 to {MAX_THREADS}")
        for utterance in self.utterances:
            if utterance.voice not in VOICES:
                raise UsageError(f"voice={utterance.voice!r}: expected one of {', '.join(VOICES)}")
        if self.arrival and sorted(self.arrival) != list(range(len(self.utterances))):
            raise UsageError(f"arrival={list(self.arrival)}: expected each of 0 to {len(self.utterances) - 1} once")

    @property
    def order(self) -> tuple[int, ...]:
        """The order of arrival; that of the list if none is given."""
        return self.arrival or tuple(range(len(self.utterances)))

    def as_json(self) -> str:
        """Return the case in one line; what has its default value is left out."""
        default = asdict(Utterance())
        utterances = [
            {name: value for name, value in asdict(utterance).items() if value != default[name]}
            for utterance in self.utterances
        ]
        return json.dumps({"utterances": utterances, "threads": self.threads, "arrival": list(self.order)})

    @classmethod
    def from_json(cls, line: str) -> Case:
        """Undo `as_json`.

        Raises:
            UsageError: the line is not JSON, or not that of a case.
        """
        try:
            plain = json.loads(line)
            utterances = tuple(Utterance(**utterance) for utterance in plain["utterances"])
            return cls(utterances, int(plain.get("threads", 2)), tuple(plain.get("arrival", ())))
        except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
            raise UsageError(f"{line[:80]!r} is not a case: {error!r}") from error

    def command(self) -> str:
        """Return the command that plays this case again."""
        return f"python -m harness replay {shlex.quote(self.as_json())}"
