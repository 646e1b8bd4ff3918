"""Every model finds its family, and anything else is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts import StatelessChatterBoxWrapper, UnsupportedModelError
from stateless_tts.families import SpeakingFamily, family_of

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


def test_a_model_of_a_known_family_is_bound(model: ChatterboxTTS) -> None:
    family = family_of(model)
    assert isinstance(family, SpeakingFamily)
    assert family.model is model


@pytest.mark.parametrize("model", [None, "ChatterboxTTS", object()])
def test_anything_else_is_refused_with_what_would_be_accepted(model: object) -> None:
    with pytest.raises(UnsupportedModelError, match=r"ChatterboxTTS, .*MultilingualTTS, .*TurboTTS, .*ChatterboxVC"):
        StatelessChatterBoxWrapper(model)
