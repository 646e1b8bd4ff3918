"""What all speaking families share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from stateless_tts import ConversionRequest, InvalidParameterError, SpeechRequest
from stateless_tts.families import SpeakingFamily, converting, family_of, speaking
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


@pytest.mark.parametrize("name", ["english", "turbo"])
def test_a_family_over_another_t3_leaves_the_model_its_own(name: str) -> None:
    model, other = build_chatterbox(name), build_chatterbox(name, seed=1).t3
    family = family_of(model)
    assert isinstance(family, SpeakingFamily)
    own = model.t3
    over = family.over(other)
    assert type(over) is type(family)
    assert over.model.t3 is other
    assert over.model.s3gen is model.s3gen
    assert model.t3 is own
    assert family.model is model


def test_rows_are_counted_before_anything_is_prepared(model: ChatterboxTTS) -> None:
    families = {name: family_of(build_chatterbox(name)) for name in ("multilingual", "turbo")}
    rows = {}
    for name, family in {**families, "english": family_of(model)}.items():
        assert isinstance(family, SpeakingFamily)
        rows[name] = [family.rows(SpeechRequest("x", cfg_weight=weight)) for weight in (0.5, 0.0)]
    assert rows == {"english": [2, 1], "multilingual": [2, 2], "turbo": [1, 1]}


def test_a_request_of_the_other_kind_is_refused(model: ChatterboxTTS) -> None:
    vc, english = family_of(build_chatterbox("vc")), family_of(model)
    with pytest.raises(InvalidParameterError, match="text='Hello': a ChatterboxVC speaks no text"):
        speaking(vc, SpeechRequest("Hello"))
    with pytest.raises(InvalidParameterError, match=r"audio='a\.wav': a ChatterboxTTS converts no recording"):
        converting(english, ConversionRequest("a.wav"))
    assert speaking(english, SpeechRequest("Hello")) is english
    assert converting(vc, ConversionRequest("a.wav")) is vc
