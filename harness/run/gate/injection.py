"""Slow one stage down on purpose, in the process that serves: how the gate finds out what it can see.

The revision's files stay as they are. The vocoder is a stage that the wrapper and the engine both go through, once for
each utterance, by one name on the shared model.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = "vocoder"
METHOD = "hift_inference"
MATRIX = 96


class SlowedStage:
    """The vocoder of `model`, with as much more processor time as makes the whole call take `share` longer.

    Attributes:
        share: 0 leaves everything as it is; may be set between calls.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - upstream ships no types
        self.share = 0.0
        self._call_over_stage = 1.0
        self._seen_s = 0.0
        self._matrix = torch.ones(MATRIX, MATRIX)
        self._original: Callable[..., Any] = getattr(model.s3gen, METHOD)
        setattr(model.s3gen, METHOD, self._run)

    def calibrate(self, speak: Callable[[], object], repeats: int = 3) -> None:
        """Find out which part of a call the stage is, from calls alone on this thread."""
        speak()
        self._seen_s, began = 0.0, time.thread_time()
        for _ in range(repeats):
            speak()
        self._call_over_stage = (time.thread_time() - began) / self._seen_s

    def _run(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - stands in for upstream's method
        began = time.thread_time()
        result = self._original(*arguments, **named)
        took = time.thread_time() - began
        self._seen_s += took
        if self.share:
            self._burn(took * self._call_over_stage * self.share)
        return result

    def _burn(self, seconds: float) -> None:
        """Multiply matrices, as a stage that does more than it has to would."""
        product = torch.empty_like(self._matrix)
        ends = time.thread_time() + seconds
        while time.thread_time() < ends:
            torch.mm(self._matrix, self._matrix, out=product)
