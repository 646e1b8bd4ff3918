"""Folders for a subject's clips, for as long as the process lasts."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path


def scratch_folder(name: str) -> Path:
    """Return a new temporary folder; it is removed when this process ends, and not when one forked from it does."""
    folder = Path(tempfile.mkdtemp(prefix=f"{name}-"))
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
