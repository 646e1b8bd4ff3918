"""Where the soak's audio is written: a folder, and the same folder on a disk that is full now and then."""

from __future__ import annotations

import errno
import hashlib
import os
from typing import TYPE_CHECKING

from stateless_tts.files import wav_bytes, write_atomically

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch


class OutputFolder:
    """Writes a WAV file for each segment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def write(self, index: int, audio: torch.Tensor, sample_rate: int) -> None:
        """Write `audio`, float of shape (1, samples).

        Raises:
            OSError: it could not be written; nothing is left behind.
        """
        write_atomically(self._path(index), wav_bytes(audio, sample_rate))

    def digests(self) -> dict[int, str]:
        """Return the SHA-256 of every file, by segment."""
        return {int(path.stem): hashlib.sha256(path.read_bytes()).hexdigest() for path in self.folder.glob("*.wav")}

    def clear(self) -> None:
        """Delete all files."""
        for path in self.folder.iterdir():
            path.unlink()

    def _path(self, index: int) -> Path:
        return self.folder / f"{index:05}.wav"


class FullDisk(OutputFolder):
    """Has no space left for the segments in `full_for`; `on_full` is told."""

    def __init__(self, folder: Path, full_for: frozenset[int], on_full: Callable[[int], None]) -> None:
        super().__init__(folder)
        self._full_for = full_for
        self._on_full = on_full

    def write(self, index: int, audio: torch.Tensor, sample_rate: int) -> None:
        """Write `audio`, or fail as a full disk does."""
        if index in self._full_for:
            self._on_full(index)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path(index)))
        super().write(index, audio, sample_rate)
