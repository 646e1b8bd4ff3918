"""What every reproduction starts from: one tiny model with upstream's code, two clips, and fresh handles on them."""

from __future__ import annotations

import copy
import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from stateless_tts import SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox, write_clip

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import ConversionRequest

    Request = SpeechRequest | ConversionRequest

CLIP_S = 1.0


@dataclass(frozen=True)
class Trial:
    """One reproduction on one subject.

    Attributes:
        failed: whether the hazard's effect showed.
        evidence: what was seen, in a sentence with its figures.
        trace: the schedule as it was followed; empty if one call alone is enough.
        stuck: whether the schedule could not be followed to its end, because calls wait for each other. Where nothing
            else went wrong, such a trial says nothing about the hazard.
    """

    failed: bool
    evidence: str
    trace: tuple[str, ...] = ()
    stuck: bool = False


class Bench:
    """A new tiny English ChatterBox, and two reference clips in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.clips = (write_clip(folder / "one.wav", 1, CLIP_S), write_clip(folder / "two.wav", 2, CLIP_S))
        self._model = build_chatterbox()
        self._folder = folder
        self._families: dict[str, Any] = {}

    def stock(self) -> ChatterboxTTS:
        """Return stock ChatterBox over the shared networks, with a built-in voice and attributes of its own."""
        model = copy.copy(self._model)
        model.conds = copy.deepcopy(self._model.conds)
        return model

    def family(self, name: str) -> Any:  # noqa: ANN401 - upstream's models have no common class
        """Return a model of another family over networks that are built once, with attributes of its own."""
        if name not in self._families:
            self._families[name] = build_chatterbox(name)
        model = copy.copy(self._families[name])
        for kept in ("conds", "ref_dict"):
            if hasattr(model, kept):
                setattr(model, kept, copy.deepcopy(getattr(model, kept)))
        return model

    def long_clip(self) -> Path:
        """Return a clip as long as Turbo wants one."""
        return write_clip(self._folder / "long.wav", 4, 5.2)

    def stateless(self) -> StatelessChatterBoxWrapper:
        """Return a new wrapper around a model of `stock`."""
        return StatelessChatterBoxWrapper(self.stock())


# Short enough for a fraction of a second each, and of different lengths.
FIRST = SpeechRequest(text="Hi.", seed=11, max_new_tokens=6)
SECOND = SpeechRequest(text="Not now, later.", seed=22, max_new_tokens=8)


def speak_stock(model: ChatterboxTTS, request: SpeechRequest) -> torch.Tensor:
    """Seed the process and call `generate`, as upstream's examples do; returns (1, samples)."""
    torch.manual_seed(request.seed)
    audio: torch.Tensor = model.generate(
        request.text, audio_prompt_path=request.audio_prompt_path, exaggeration=request.exaggeration
    )
    return audio


def speak(wrapper: StatelessChatterBoxWrapper, request: Request) -> Callable[[], torch.Tensor]:
    """Return the call of `wrapper` for `request`, to be made by a schedule."""
    return functools.partial(_audio, wrapper, request)


def differing(got: object, wanted: torch.Tensor) -> str:
    """Say in a few words how `got` differs from `wanted`; empty if not a bit does."""
    assert isinstance(got, torch.Tensor)
    if got.shape != wanted.shape:
        return f"shape {tuple(got.shape)} instead of {tuple(wanted.shape)}"
    wrong = int((got != wanted).sum())
    return f"{wrong} of {wanted.numel()} values differ" if wrong or not torch.equal(got, wanted) else ""


def _audio(wrapper: StatelessChatterBoxWrapper, request: Request) -> torch.Tensor:
    return wrapper.synthesize(request).audio
