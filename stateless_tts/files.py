"""Files that are whole or not there."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

import soundfile

if TYPE_CHECKING:
    from collections.abc import Iterator

    import torch

PARTIAL_SUFFIX = ".stateless-tts-partial"
_BLOCK_BYTES = 2**16
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


def wav_bytes(audio: torch.Tensor, sample_rate: int, subtype: str = "PCM_16") -> bytes:
    """Return a WAV file of `audio`, float of shape (1, samples); values beyond 1 are clipped unless it is FLOAT."""
    stream = io.BytesIO()
    soundfile.write(stream, audio.squeeze(0).cpu().numpy(), sample_rate, format="WAV", subtype=subtype)
    return stream.getvalue()


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Write `content` to `path` so that, whatever happens, the file there is the old one or the new one.

    Raises:
        OSError: it could not be written; nothing is left behind.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}{PARTIAL_SUFFIX}")
    try:
        with partial.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
    _sync_folder(target.parent)


def remove_partial_files(folder: Path) -> None:
    """Remove what a killed process left of `write_atomically` in `folder` and below."""
    for partial in folder.rglob(f".*{PARTIAL_SUFFIX}"):
        with contextlib.suppress(OSError):
            partial.unlink()


def file_digest(path: str) -> str:
    """Return the digest of a file's content; a word if it cannot be read."""
    file = Path(path)
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "unreadable"
    except (OSError, ValueError):
        return "unreadable"


def sampled(file: Path) -> Iterator[bytes]:
    """Yield what tells a large file apart without reading it whole: name, size, and blocks of its ends and its middle.

    A copy yields the same: neither the folder nor the date counts.
    """
    size = file.stat().st_size
    yield f"{file.name} {size} ".encode()
    with file.open("rb") as opened:
        for place in (0, size // 2, max(0, size - _BLOCK_BYTES)):
            opened.seek(place)
            yield opened.read(_BLOCK_BYTES)


def _sync_folder(folder: Path) -> None:
    """Make the new name last through a power cut, where folders can be synchronised at all."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
