"""Voices in files: safetensors, so that nothing in a file can be executed."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3tokenizer import SPEECH_VOCAB_SIZE
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from .errors import StatelessTTSError
from .files import write_atomically
from .voice import Voice

if TYPE_CHECKING:
    import os

_FORMAT = "stateless-tts voice 1"
# Dimensions by field; None is any size.
_SHAPES = {
    "speaker_embedding": (1, 256),
    "t3_prompt_tokens": (1, None),
    "prompt_tokens": (1, None),
    "prompt_token_count": (1,),
    "prompt_mel": (1, None, 80),
    "x_vector": (1, 192),
}


class InvalidVoiceFileError(StatelessTTSError, ValueError):
    """A file is no voice that was saved by `save_voice`."""


def save_voice(voice: Voice, path: str | os.PathLike[str], *, model: str = "") -> None:
    """Write `voice` to `path`; the file is whole or not there.

    Args:
        voice: what to write.
        path: by custom with the suffix ``.safetensors``.
        model: what the voice was encoded with; it suits no other. See `voice_file_model`.

    Raises:
        OSError: the file cannot be written.
    """
    tensors = {name: tensor.cpu().contiguous() for name, tensor in vars(voice).items() if tensor is not None}
    write_atomically(path, save(tensors, metadata={"format": _FORMAT, "model": model}))


def load_voice(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Voice:
    """Read the voice at `path`.

    Raises:
        InvalidVoiceFileError: the file is missing, cut off, foreign, or holds what is no voice.
    """
    metadata, tensors = _read(path)
    if metadata.get("format") != _FORMAT:
        raise InvalidVoiceFileError(f"voice {str(path)!r}: format={metadata.get('format')!r}, expected {_FORMAT!r}")
    names = {field.name for field in dataclasses.fields(Voice)}
    optional = {field.name for field in dataclasses.fields(Voice) if "None" in str(field.type)}
    missing = sorted(names - optional - set(tensors))
    foreign = sorted(set(tensors) - names)
    if missing or foreign:
        raise InvalidVoiceFileError(f"voice {str(path)!r}: missing {missing}, unknown {foreign}")
    for name, tensor in tensors.items():
        _check(str(path), name, tensor)
    _check_prompt(str(path), tensors)
    return Voice(**{name: tensors[name].to(device) if name in tensors else None for name in names})  # type: ignore[arg-type]


def voice_file_model(path: str | os.PathLike[str]) -> str:
    """Return what the voice at `path` was encoded with; empty if that was not said."""
    metadata, _ = _read(path)
    return metadata.get("model", "")


def _read(path: str | os.PathLike[str]) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    if not Path(path).is_file():
        raise InvalidVoiceFileError(f"voice {str(path)!r} does not exist, or is not a file")
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:  # type: ignore[no-untyped-call]
            names = file.keys()
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in names}
    except (SafetensorError, OSError) as error:
        raise InvalidVoiceFileError(f"voice {str(path)!r} cannot be read: {error}") from error


def _check(path: str, name: str, tensor: torch.Tensor) -> None:
    expected = _SHAPES[name]
    fits = tensor.dim() == len(expected) and all(
        want in (None, have) for want, have in zip(expected, tensor.shape, strict=True)
    )
    is_count = name.endswith(("tokens", "count"))
    is_typed = tensor.dtype is torch.int64 if is_count else tensor.dtype.is_floating_point
    if not fits or tensor.numel() == 0 or not is_typed:
        raise InvalidVoiceFileError(
            f"voice {path!r}: {name} is {tensor.dtype} of shape {tuple(tensor.shape)}; expected "
            f"{'int64' if is_count else 'float'} of shape {expected}"
        )
    if not is_count and not bool(torch.isfinite(tensor).all()):
        raise InvalidVoiceFileError(f"voice {path!r}: {name} holds values that are NaN or infinite")
    if name.endswith("tokens") and (int(tensor.min()) < 0 or int(tensor.max()) >= SPEECH_VOCAB_SIZE):
        wrong = int(tensor.min()) if int(tensor.min()) < 0 else int(tensor.max())
        raise InvalidVoiceFileError(
            f"voice {path!r}: {name} holds {wrong}; expected token ids from 0 to {SPEECH_VOCAB_SIZE - 1}"
        )


def _check_prompt(path: str, tensors: dict[str, torch.Tensor]) -> None:
    """Check that S3Gen's tokens, their count and their mel spectrogram are of one length."""
    tokens = tensors["prompt_tokens"].size(1)
    count = int(tensors["prompt_token_count"])
    if count != tokens:
        raise InvalidVoiceFileError(
            f"voice {path!r}: prompt_token_count is {count}; expected {tokens}, as there are prompt_tokens"
        )
    frames = tensors["prompt_mel"].size(1)
    if frames not in (2 * tokens, 2 * tokens + 1):  # upstream cuts the tokens to half the frames, rounded down
        raise InvalidVoiceFileError(
            f"voice {path!r}: prompt_mel has {frames} frames; expected {2 * tokens} or {2 * tokens + 1} "
            f"for {tokens} prompt_tokens"
        )
