"""Places in a model where a call can be made to fail, by torch's own hooks and by a watermarker that is ours.

What is armed is armed for the calling thread alone: other calls in the same place notice nothing.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import torch

# A module of each stage that upstream calls as a module (else its hooks are not called), by path below the model.
_PLACES = {
    "voice": "s3gen.speaker_encoder.head",
    "speech tokens": "t3.tfmr",
    "mel": "s3gen.flow.encoder",
    "waveform": "s3gen.mel2wav.f0_predictor",
}


class InjectedError(HarnessError):
    """The exception that a stage was made to raise."""


class InjectedDeath(BaseException):
    """Ends the thread it is raised on, as what kills a thread from outside does."""


class Trips:
    """The places of one or more models, and what each thread has armed."""

    def __init__(self) -> None:
        self._mine = threading.local()

    @contextmanager
    def armed(self, stage: str, act: Callable[[], None]) -> Iterator[None]:
        """Call `act` once when this thread next comes to `stage`, within the block."""
        self._mine.stage, self._mine.act = stage, act
        try:
            yield
        finally:
            self._mine.stage = ""

    def step_on(self, stage: str) -> None:
        """Note that this thread has come to `stage`."""
        if getattr(self._mine, "stage", "") == stage:
            self._mine.stage = ""
            self._mine.act()

    def lay(self, model: Any) -> None:  # noqa: ANN401 - any family
        """Put trips into `model`, before it is used."""
        for stage, path in _PLACES.items():
            module = _find(model, path)
            if module is not None:  # voice conversion has no T3
                module.register_forward_pre_hook(self._hook(stage))
        model.watermarker = _Watermarker(model.watermarker, self)

    def _hook(self, stage: str) -> Callable[[torch.nn.Module, Any], None]:
        def step(_module: torch.nn.Module, _inputs: Any) -> None:  # noqa: ANN401 - torch's own signature
            self.step_on(stage)

        return step


class _Watermarker:
    """The model's watermarker, with a trip in front."""

    def __init__(self, watermarker: Any, trips: Trips) -> None:  # noqa: ANN401 - upstream ships no types
        self._watermarker = watermarker
        self._trips = trips

    def apply_watermark(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on as they are
        self._trips.step_on("watermark")
        return self._watermarker.apply_watermark(*arguments, **named)


def _find(model: Any, path: str) -> torch.nn.Module | None:  # noqa: ANN401 - any family
    for name in path.split("."):
        model = getattr(model, name, None)
    return model  # type: ignore[no-any-return]
