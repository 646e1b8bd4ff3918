"""What a caller asks F5 for."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from ._voice import F5Voice

_MAX_STEPS = 1000
_LARGEST_SEED = 2**64 - 1


@dataclass(frozen=True)
class F5Request:
    """One text to speak. Names and defaults are those of upstream's `infer_process`.

    Args:
        text: what to say; upstream's `chunk_text` divides it where it is too long for one go.
        voice: who says it.
        seed: as for `torch.manual_seed`, 0 to 2**64 - 1.
        nfe_step: steps of the flow, 1 to 1000.
        cfg_strength: classifier-free guidance, 0 or more.
        sway_sampling_coef: -1 to 1; how far the steps lean towards the beginning.
        speed: 0.1 to 10; 1 is that of the clip.
        cross_fade_duration: seconds by which the parts of a divided text overlap, 0 to 10.

    Raises:
        InvalidParameterError: a value is of the wrong type or out of range; the message names it.
    """

    text: str
    voice: F5Voice
    seed: int
    nfe_step: int = 32
    cfg_strength: float = 2.0
    sway_sampling_coef: float = -1.0
    speed: float = 1.0
    cross_fade_duration: float = 0.15

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise InvalidParameterError(f"text={self.text!r}: expected something to say")
        if any("\ud800" <= character <= "\udfff" for character in self.text):
            raise InvalidParameterError(f"text={self.text[:40]!r}: expected Unicode text, got half a surrogate pair")
        _check_integer("seed", self.seed, 0, _LARGEST_SEED)
        _check_integer("nfe_step", self.nfe_step, 1, _MAX_STEPS)
        _check_number("cfg_strength", self.cfg_strength, 0.0, 100.0)
        _check_number("sway_sampling_coef", self.sway_sampling_coef, -1.0, 1.0)
        _check_number("speed", self.speed, 0.1, 10.0)
        _check_number("cross_fade_duration", self.cross_fade_duration, 0.0, 10.0)


def _check_integer(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InvalidParameterError(f"{name}={value!r}: expected an integer from {low} to {high}")


def _check_number(name: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:  # type: ignore[operator] # a number, as was just seen
        raise InvalidParameterError(f"{name}={value!r}: expected a number from {low:g} to {high:g}")
