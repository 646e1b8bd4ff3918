"""Commands with a progress bar of their own switch off upstream's, and its notices per call."""

from __future__ import annotations

import logging
import os
import warnings


def quieten_upstream() -> None:
    """Switch off upstream's progress bars, log lines and warnings in this process; to be called before it is used."""
    os.environ["TQDM_DISABLE"] = "1"
    logging.basicConfig(level=logging.ERROR)
    logging.getLogger().setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(chatterbox|diffusers|transformers|torch|perth|librosa)\b")
    # Warned about in a context manager, so by the standard library.
    warnings.filterwarnings("ignore", message=r"`torch\.backends\.cuda\.sdp_kernel")
