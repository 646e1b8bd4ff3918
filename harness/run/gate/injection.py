"""Slow one stage down on purpose, in the process that serves: how the gate finds out what it can see.

The revision's files stay as they are. The vocoder is a stage that the wrapper and the engine both go through, once for
each utterance, by one method of the model or of a view of it. It is slowed down in a calibration alone: a gate times
each revision as it is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import torch

from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable

STAGE = "vocoder"
METHOD = "hift_inference"
MATRIX = 96
CALLS_TO_CALIBRATE = 3


class StageNotSeenError(HarnessError):
    """Calls do not go through the stage that is to be slowed down."""


class SlowedStage:
    """The vocoder of `model`, with as much more processor time as makes the whole call take `share` longer.

    The model's S3Gen gets a class of its own, not a function of its own: views that are made of it afterwards run
    their own modules, as they do without it.

    Attributes:
        share: 0 adds nothing; may be set between calls.
    """

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - upstream ships no types
        self.share = 0.0
        self._call_over_stage = 1.0
        self._seen_s = 0.0
        self._matrix = torch.ones(MATRIX, MATRIX)
        upstream = type(model.s3gen)
        stage: Callable[..., Any] = getattr(upstream, METHOD)

        def slowed(s3gen: object, *arguments: object, **named: object) -> object:
            return self._run(lambda: stage(s3gen, *arguments, **named))

        model.s3gen.__class__ = type(upstream.__name__, (upstream,), {METHOD: slowed})

    def calibrate(self, speak: Callable[[], object]) -> None:
        """Find out which part of a call the stage is, from calls alone on this thread.

        Raises:
            StageNotSeenError: `speak` does not go through the stage on this thread.
        """
        speak()
        self._seen_s, began = 0.0, time.thread_time()
        for _ in range(CALLS_TO_CALIBRATE):
            speak()
        if not self._seen_s:
            raise StageNotSeenError(
                f"{CALLS_TO_CALIBRATE} calls did not go through the {STAGE} ({METHOD} of the model's S3Gen) on their "
                f"own thread, so there is no stage that a calibration could slow down"
            )
        self._call_over_stage = (time.thread_time() - began) / self._seen_s

    def _run(self, stage: Callable[[], object]) -> object:
        began = time.thread_time()
        result = stage()
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
