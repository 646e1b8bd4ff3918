"""From a model to its family."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from chatterbox.mtl_tts import ChatterboxMultilingualTTS
from chatterbox.tts import ChatterboxTTS
from chatterbox.tts_turbo import ChatterboxTurboTTS
from chatterbox.vc import ChatterboxVC
from torch import nn

from stateless_tts.errors import InvalidParameterError, UnsupportedModelError

from ._english import EnglishFamily
from ._family import SpeakingFamily
from ._multilingual import MultilingualFamily
from ._turbo import TurboFamily
from ._voice_conversion import VoiceConversionFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stateless_tts.request import ConversionRequest, SpeechRequest

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
        UnsupportedModelError: the model is of no family known here, a part of it is in training mode, or its T3 is
            that of another family.
    """
    for model_type, family in _FAMILIES.items():
        if isinstance(model, model_type):
            _refuse_training(model)
            _refuse_foreign_text(model)
            return family(model)
    accepted = ", ".join(f"{known.__module__}.{known.__qualname__}" for known in _FAMILIES)
    raise UnsupportedModelError(
        f"{type(model).__module__}.{type(model).__qualname__} is not supported; expected one of {accepted}"
    )


def speaking(family: Family, request: SpeechRequest) -> SpeakingFamily:
    """Return `family`, which is to speak `request`.

    Raises:
        InvalidParameterError: it speaks no text.
    """
    if not isinstance(family, SpeakingFamily):
        raise InvalidParameterError(
            f"text={request.text[:40]!r}: a {type(family.model).__name__} speaks no text; expected a recording, "
            f"as for convert()"
        )
    return family


def converting(family: Family, request: ConversionRequest) -> VoiceConversionFamily:
    """Return `family`, which is to convert `request`.

    Raises:
        InvalidParameterError: it converts no recording.
    """
    if not isinstance(family, VoiceConversionFamily):
        raise InvalidParameterError(
            f"audio={str(request.audio)!r}: a {type(family.model).__name__} converts no recording; expected text, "
            f"as for generate_stateless()"
        )
    return family


def _refuse_training(model: object) -> None:
    """Raise if a network of `model` is in training mode: it would draw for its dropout and update its statistics."""
    for path in ("t3.tfmr", "t3.cond_enc", "s3gen", "ve"):
        network = functools.reduce(lambda owner, name: getattr(owner, name, None), path.split("."), model)
        if isinstance(network, nn.Module) and any(module.training for module in network.modules()):
            raise UnsupportedModelError(f"model.{path} is in training mode; expected model.{path}.eval() beforehand")


def _refuse_foreign_text(model: object) -> None:
    """Raise if T3 reads the text of another family: upstream attaches an alignment analyser by that, not by class."""
    if not isinstance(model, ChatterboxTTS | ChatterboxMultilingualTTS):
        return
    tokens, multilingual = model.t3.hp.text_tokens_dict_size, isinstance(model, ChatterboxMultilingualTTS)
    if model.t3.hp.is_multilingual is not multilingual:
        expected = "the 2454 of a multilingual T3" if multilingual else "those of an English T3, not 2454"
        raise UnsupportedModelError(f"{type(model).__name__} over a T3 with {tokens} text tokens: expected {expected}")
