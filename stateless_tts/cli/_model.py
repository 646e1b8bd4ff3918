"""The model that the command line asks for."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING

from stateless_tts.models import LoadedModel, ModelChoice, choose_model
from stateless_tts.voice import check_clip, read_clip
from stateless_tts.voice_file import load_voice

from ._errors import UsageError
from ._output import tell

if TYPE_CHECKING:
    import argparse

    from stateless_tts.streaming import StreamingEngineAdapter
from stateless_tts.streaming import ChatterBoxStreamingAdapter


def chosen_model(arguments: argparse.Namespace) -> ModelChoice:
    """Return the model that the arguments ask for, not yet loaded."""
    return choose_model(
        arguments.family,
        checkpoint=arguments.checkpoint,
        pretrained=arguments.pretrained,
        device=arguments.device,
        engine=getattr(arguments, "engine", ""),
    )


def load_model(choice: ModelChoice) -> LoadedModel:
    """Load the model, and say so where its voice is made up.

    Raises:
        ModelError: it could not be loaded.
    """
    if choice.is_synthetic:
        tell(
            "neither --checkpoint nor --pretrained is given: the weights are synthetic, and so is the voice; "
            "what is spoken is noise"
        )
    return LoadedModel(choice)


def adapter_of(model: LoadedModel) -> StreamingEngineAdapter:
    """Return the adapter that speaks with `model`."""
    return ChatterBoxStreamingAdapter(model.manager, model, model.choice.device)


def check_voice(path: str) -> None:
    """Raise if no voice can come of the file at `path`, before the model is loaded, which takes its time."""
    with contextlib.suppress(OSError, ValueError):  # told of when it is read
        if Path(path).exists() and not Path(path).is_file():  # a device or a pipe may never end
            raise UsageError(f"voice {path!r} is not a file")
    if path.lower().endswith(".safetensors"):
        load_voice(path)
    else:
        check_clip(read_clip(path))
