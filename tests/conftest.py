"""Models and clips that the tests share: tiny, seeded, and never written to by a test that passes."""

from __future__ import annotations

import gc
import logging
import os
import signal
from typing import TYPE_CHECKING

import pytest

# A shell that starts the tests in the background lets them ignore Ctrl-C, and whatever they start.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import StatelessChatterBoxWrapper
    from stateless_tts.engine._self_check import RowPlan


@pytest.fixture(autouse=True)
def every_test_hears_what_is_logged() -> Iterator[None]:
    """Undo what a command of the harness did to the process's log in a test: it is quiet, and others listen."""
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


@pytest.fixture(scope="module", autouse=True)
def what_stays_is_no_garbage() -> None:
    """Spare every `gc.collect()` in the code under test a walk through all that was imported or built before."""
    import stateless_tts.synthetic  # noqa: F401 - for what it imports

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def rows_are_planned_once() -> Iterator[None]:
    """Let an engine start with what the first one over a T3 of that shape found out about this machine.

    That takes a second, the tests make a hundred engines, and the machine stays the same. `plan_rows` itself is tested
    where it lives, and each step that it leads to is verified for every engine.
    """
    import torch

    from stateless_tts.engine import _self_check

    plans: dict[tuple[object, ...], RowPlan] = {}

    def planned(t3: T3, max_requests: int, *, pack: bool, exactly_like_stock: bool) -> RowPlan:
        weight = t3.speech_head.weight
        machine = (torch.get_num_threads(), _self_check._digest)  # a test may stand in for the latter
        key = (repr(t3), weight.dtype, weight.device, machine, max_requests, pack, exactly_like_stock)
        if key not in plans:
            plans[key] = _self_check.plan_rows(t3, max_requests, pack=pack, exactly_like_stock=exactly_like_stock)
        return plans[key]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stateless_tts.engine._start_up.plan_rows", planned)
        yield


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
