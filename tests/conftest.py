"""Models and clips that the tests share: tiny, seeded, and never written to by a test that passes."""

from __future__ import annotations

import gc
import os
import signal
from typing import TYPE_CHECKING

import pytest

# A shell that starts the tests in the background lets them ignore Ctrl-C, and whatever they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

if TYPE_CHECKING:
    from pathlib import Path

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import StatelessChatterBoxWrapper


@pytest.fixture(scope="module", autouse=True)
def what_stays_is_no_garbage() -> None:
    """Spare every `gc.collect()` in the code under test a walk through all that was imported or built before."""
    import stateless_tts.synthetic  # noqa: F401 - for what it imports

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def model() -> ChatterboxTTS:
    """Return the tiny model that the stateless wrapper shares."""
    from stateless_tts.synthetic import build_chatterbox

    return build_chatterbox()


@pytest.fixture(scope="session")
def stock() -> ChatterboxTTS:
    """Return the same model once more, for stock to write to."""
    from stateless_tts.synthetic import build_chatterbox

    return build_chatterbox()


@pytest.fixture(scope="session")
def wrapper(model: ChatterboxTTS) -> StatelessChatterBoxWrapper:
    """Return the stateless wrapper of `model`."""
    from stateless_tts import StatelessChatterBoxWrapper

    return StatelessChatterBoxWrapper(model)


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ...]:
    """Return three reference clips of different speakers and lengths."""
    from stateless_tts.synthetic import write_clip

    folder = tmp_path_factory.mktemp("clips")
    return tuple(
        write_clip(folder / f"speaker-{seed}.wav", seed, seconds) for seed, seconds in ((11, 1.0), (12, 2.3), (13, 0.3))
    )
