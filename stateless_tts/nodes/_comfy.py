"""What ComfyUI brings, where it is there; and its AUDIO values."""

from __future__ import annotations

import importlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import soundfile

from stateless_tts.errors import InvalidClipError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from stateless_tts.voice import Voice
    from stateless_tts.wrapper import StatelessChatterBoxWrapper


class Audio(TypedDict):
    """ComfyUI's AUDIO: `waveform` is float of shape (batch, channels, samples)."""

    waveform: torch.Tensor
    sample_rate: int


def to_audio(samples: torch.Tensor, sample_rate: int) -> Audio:
    """Return AUDIO of one item and one channel for `samples` of shape (1, samples)."""
    return {"waveform": samples.unsqueeze(0), "sample_rate": sample_rate}


def voice_of(audio: Audio, wrapper: StatelessChatterBoxWrapper) -> Voice:
    """Encode the first item of an AUDIO as a voice.

    Raises:
        InvalidClipError: no voice can be made of it.
    """
    waveform, sample_rate = audio["waveform"], audio["sample_rate"]
    if waveform.dim() != 3 or 0 in waveform.shape:  # noqa: PLR2004 - (batch, channels, samples)
        raise InvalidClipError(f"AUDIO of shape {tuple(waveform.shape)}: expected (batch, channels, samples)")
    with tempfile.TemporaryDirectory(prefix="stateless-tts-") as folder:
        clip = Path(folder) / "reference_audio.wav"
        samples = waveform[0].detach().T.float().cpu().numpy()
        try:
            soundfile.write(str(clip), samples, int(sample_rate), subtype="FLOAT")
        except (soundfile.LibsndfileError, ValueError, OverflowError) as error:
            raise InvalidClipError(
                f"AUDIO of {len(waveform[0])} channels at sample_rate={sample_rate!r} is no clip: {error}"
            ) from error
        return wrapper.prepare_voice(clip)


def progress(total: int) -> Callable[[object], None]:
    """Return what to call after every piece: it moves ComfyUI's bar, and raises if the user has pressed cancel."""
    bar = _comfy("comfy.utils", "ProgressBar")
    throw_if_cancelled = _comfy("comfy.model_management", "throw_exception_if_processing_interrupted")
    shown = None if bar is None else bar(total)

    def step(_result: object) -> None:
        if shown is not None:
            shown.update(1)
        if throw_if_cancelled is not None:
            throw_if_cancelled()

    return step


def interrupted() -> bool:
    """Whether the user has pressed cancel; unlike the callback of `progress`, asking does not answer it."""
    asked = _comfy("comfy.model_management", "processing_interrupted")
    return asked is not None and bool(asked())


def _comfy(module: str, name: str) -> Any:  # noqa: ANN401 - something of ComfyUI's
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
