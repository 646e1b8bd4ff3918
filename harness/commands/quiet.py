"""Keep upstream from writing between the lines of a command."""

from __future__ import annotations

import logging
import os
import warnings


def quieten_upstream() -> None:
    """Switch off upstream's progress bar and notices per call; this command has a progress bar of its own."""
    os.environ["TQDM_DISABLE"] = "1"
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger().setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(chatterbox|diffusers|transformers|torch|perth|librosa)\b")
