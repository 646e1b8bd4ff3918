from __future__ import annotations

import errno
import hashlib
from typing import TYPE_CHECKING

import pytest
import torch

from harness.run.soak.outputs import FullDisk
from stateless_tts.files import wav_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_disk_is_full_for_some_and_leaves_nothing_of_them(tmp_path: Path) -> None:
    told: list[int] = []
    disk = FullDisk(tmp_path / "out", frozenset({2}), told.append)
    audio = torch.rand(1, 50)
    disk.write(1, audio, 24_000)
    with pytest.raises(OSError, match="No space left") as full:
        disk.write(2, audio, 24_000)
    assert full.value.errno == errno.ENOSPC
    assert told == [2]
    assert disk.digests() == {1: hashlib.sha256(wav_bytes(audio, 24_000)).hexdigest()}
    disk.clear()
    assert list((tmp_path / "out").iterdir()) == []
