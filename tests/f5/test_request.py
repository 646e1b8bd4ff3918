"""Parameters out of range are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from stateless_tts.f5 import F5Voice

pytestmark = pytest.mark.usefixtures("f5_is_installed")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("text", 3),
        ("text", "half \ud800"),
        ("seed", -1),
        ("seed", 2**64),
        ("seed", True),
        ("nfe_step", 1.5),
        ("nfe_step", 0),
        ("cfg_strength", -0.1),
        ("cfg_strength", "2"),
        ("sway_sampling_coef", float("inf")),
        ("speed", 0),
        ("cross_fade_duration", None),
    ],
)
def test_out_of_range(f5_voice: F5Voice, name: str, value: object) -> None:
    from stateless_tts.f5 import F5Request

    given: dict[str, Any] = {"text": "Hi.", "voice": f5_voice, "seed": 1, name: value}
    with pytest.raises(InvalidParameterError, match=f"^{name}="):
        F5Request(**given)


def test_the_ends_of_the_ranges_are_in_them(f5_voice: F5Voice) -> None:
    from stateless_tts.f5 import F5Request

    F5Request("Hi.", f5_voice, 0, nfe_step=1, cfg_strength=0, sway_sampling_coef=1, speed=0.1, cross_fade_duration=0)
    F5Request("Hi.", f5_voice, 2**64 - 1, nfe_step=1000, sway_sampling_coef=-1, speed=10)
