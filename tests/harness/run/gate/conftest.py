"""What the tests of a gate's processes share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts import StatelessChatterBoxWrapper

if TYPE_CHECKING:
    from collections.abc import Callable

    from stateless_tts import SpeechRequest, SpeechResult


@pytest.fixture
def spoil(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return what changes one sample of every later output of the wrapper."""
    right = StatelessChatterBoxWrapper.synthesize

    def wrong(self: StatelessChatterBoxWrapper, request: SpeechRequest) -> SpeechResult:
        result = right(self, request)
        result.audio[0, 100] += 1e-6
        return result

    return lambda: monkeypatch.setattr(StatelessChatterBoxWrapper, "synthesize", wrong)
