"""From a model to its family."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatterbox.mtl_tts import ChatterboxMultilingualTTS
from chatterbox.tts import ChatterboxTTS
from chatterbox.tts_turbo import ChatterboxTurboTTS
from chatterbox.vc import ChatterboxVC

from stateless_tts.errors import UnsupportedModelError

from ._english import EnglishFamily
from ._multilingual import MultilingualFamily
from ._turbo import TurboFamily
from ._voice_conversion import VoiceConversionFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ._family import Family

_FAMILIES: Mapping[type, Callable[..., Family]] = {
    ChatterboxTTS: EnglishFamily,
    ChatterboxMultilingualTTS: MultilingualFamily,
    ChatterboxTurboTTS: TurboFamily.of,
    ChatterboxVC: VoiceConversionFamily,
}


def family_of(model: object) -> Family:
    """Return the family of `model`, bound to it.

    Raises:
        UnsupportedModelError: the model is of no family known here.
    """
    for model_type, family in _FAMILIES.items():
        if isinstance(model, model_type):
            return family(model)
    accepted = ", ".join(f"{known.__module__}.{known.__qualname__}" for known in _FAMILIES)
    raise UnsupportedModelError(
        f"{type(model).__module__}.{type(model).__qualname__} is not supported; expected one of {accepted}"
    )
