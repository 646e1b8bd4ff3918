from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

import pytest
import soundfile
import torch

from stateless_tts.files import PARTIAL_SUFFIX, remove_partial_files, wav_bytes, write_atomically

if TYPE_CHECKING:
    from pathlib import Path


def test_writes_and_replaces(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    for content in (b"one", b"two"):
        write_atomically(file, content)
        assert file.read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.wav"
    write_atomically(file, b"old")

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomically(file, b"new")
    assert file.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


def test_partial_files_of_the_dead_are_removed(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    dead = tmp_path / "sub" / f".a.wav.123{PARTIAL_SUFFIX}"
    dead.write_bytes(b"")
    alive = tmp_path / "sub" / "a.wav"
    alive.write_bytes(b"")
    remove_partial_files(tmp_path)
    assert not dead.exists()
    assert alive.exists()


@pytest.mark.parametrize(("subtype", "step"), [("PCM_16", 2**-15), ("PCM_24", 2**-23), ("FLOAT", 0.0)])
def test_wav_holds_the_audio(subtype: str, step: float) -> None:
    audio = torch.linspace(-1, 0.99, 50).unsqueeze(0)
    samples, rate = soundfile.read(io.BytesIO(wav_bytes(audio, 24_000, subtype)), dtype="float32")
    assert rate == 24_000
    assert torch.allclose(torch.from_numpy(samples), audio[0], rtol=0, atol=step)
