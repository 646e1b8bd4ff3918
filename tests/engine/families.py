"""A model of each family, and requests that differ in everything the family takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stateless_tts import ConversionRequest, SpeechRequest
from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.synthetic import build_chatterbox, write_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    Request = SpeechRequest | ConversionRequest

SLOW_TURBO = not has_onednn_bfloat16()
"""Whether torch itself multiplies Turbo's bfloat16 here, whose weights lie the other way: a hundredth as fast."""

OTHERS = ("multilingual", "turbo", "vc")
_LANGUAGES = ("fr", "de", "ko", "ru", "en")


@dataclass(frozen=True)
class Family:
    """A model that nothing writes to, and sixteen requests for it."""

    name: str
    model: Any
    requests: Sequence[Request]

    @property
    def speech(self) -> list[SpeechRequest]:
        """Those of the requests that speak text."""
        return [request for request in self.requests if isinstance(request, SpeechRequest)]


def family(name: str, folder: Path) -> Family:
    seconds = {"multilingual": (1.0, 2.3), "turbo": (5.1, 6.0), "vc": (0.3, 0.9)}[name]
    clips = [
        write_clip(folder / f"{name}-{seed}.wav", seed, length) for seed, length in zip((31, 32), seconds, strict=True)
    ]
    makers: dict[str, Callable[[int, Sequence[Path]], Request]] = {
        "multilingual": _multilingual,
        "turbo": _turbo,
        "vc": _conversion,
    }
    return Family(name, build_chatterbox(name), tuple(makers[name](index, clips) for index in range(16)))


def _multilingual(index: int, clips: Sequence[Path]) -> SpeechRequest:
    return SpeechRequest(
        text=" ".join(["One more word"] * (1 + index % 3)),
        audio_prompt_path=None if index % 4 else clips[index % 2],
        language_id=_LANGUAGES[index % len(_LANGUAGES)],
        exaggeration=0.25 * (index % 4),
        cfg_weight=0.5 if index % 5 else 0.0,
        temperature=0.6 + 0.1 * (index % 3),
        seed=2000 + index,
        repetition_penalty=2.0 - 0.3 * (index % 3),
        min_p=0.02 * (index % 3),
        top_p=1.0 if index % 2 else 0.9,
        max_new_tokens=3 + index % 7,
    )


def _turbo(index: int, clips: Sequence[Path]) -> SpeechRequest:
    return SpeechRequest(
        text=" ".join(["One more word"] * (1 + index % 5)),
        audio_prompt_path=None if index % 4 else clips[index % 2],
        temperature=0.6 + 0.2 * (index % 3),
        seed=3000 + index,
        repetition_penalty=1.0 + 0.2 * (index % 3),
        top_p=1.0 if index % 2 else 0.9,
        top_k=(0, 20, 1000)[index % 3],
        max_new_tokens=3 + index % 7,
    )


def _conversion(index: int, clips: Sequence[Path]) -> ConversionRequest:
    return ConversionRequest(clips[index % 2], (None, *clips)[index % 3], seed=4000 + index)
