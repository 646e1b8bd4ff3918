"""An engine for each call: what is shared is the model, and nothing is left running."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest
import torch

from harness.subjects import engines

if TYPE_CHECKING:
    from collections.abc import Callable

    from harness import Subject


@pytest.mark.parametrize("factory", [engines.english, engines.multilingual, engines.turbo, engines.conversion])
def test_a_call_serves_its_request_and_leaves_no_thread(factory: Callable[[], Subject]) -> None:
    before = set(threading.enumerate())  # of engines that other tests share
    subject = factory()
    assert subject.name.startswith("engine-")
    assert subject.requests is not None
    first, second = (subject.call(request) for request in subject.requests)
    # Upstream's Turbo shows a progress bar, which starts a thread of its own.
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("stateless-tts-")]
    assert not torch.equal(first, second)
    assert torch.equal(subject.call(subject.requests[0]), first)
