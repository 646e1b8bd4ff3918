"""Every model finds its family, and anything else is refused."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import pytest
from chatterbox.models.t3.modules.t3_config import T3Config

from stateless_tts import StatelessChatterBoxWrapper, UnsupportedModelError
from stateless_tts.families import SpeakingFamily, family_of
from stateless_tts.private import with_private

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


def test_a_model_of_a_known_family_is_bound(model: ChatterboxTTS) -> None:
    family = family_of(model)
    assert isinstance(family, SpeakingFamily)
    assert family.model is model


def test_a_t3_of_another_family_is_refused(model: ChatterboxTTS) -> None:
    """Upstream decides by the vocabulary whether there is an alignment analyser, and so what is said."""
    other = copy.copy(model)
    other.t3 = with_private(model.t3, [])
    other.t3.hp = T3Config.multilingual()
    with pytest.raises(UnsupportedModelError, match="ChatterboxTTS over a T3 with 2454 text tokens: expected those"):
        family_of(other)


@pytest.mark.parametrize("model", [None, "ChatterboxTTS", object()])
def test_anything_else_is_refused_with_what_would_be_accepted(model: object) -> None:
    with pytest.raises(UnsupportedModelError, match=r"ChatterboxTTS, .*MultilingualTTS, .*TurboTTS, .*ChatterboxVC"):
        StatelessChatterBoxWrapper(model)
