"""The families beside English, each with one short request: by stock, and by a revision's wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

import stateless_tts
from harness.run.digest import mark
from harness.subjects.audited import MULTILINGUAL, TURBO, KeptVoiceCall
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from pathlib import Path

CONVERSION = "vc"
OTHER_FAMILIES = (MULTILINGUAL, TURBO, CONVERSION)
SEED = 1


def unequal_family(family: str, clip: Path) -> str:
    """Say how a family's output differs from stock's; empty if not a bit does.

    Args:
        family: one of `OTHER_FAMILIES`.
        clip: a recording to convert.
    """
    try:
        # The wrapper first: stock writes to the model.
        model: Any = build_chatterbox(family=family, profile="tiny", seed=0)
        wrapper = stateless_tts.StatelessChatterBoxWrapper(model)
        if family == CONVERSION:
            found = wrapper.synthesize(stateless_tts.ConversionRequest(clip, seed=SEED)).audio
            torch.manual_seed(SEED)
            wanted = model.generate(clip)
        else:
            language = "fr" if family == MULTILINGUAL else None
            request = stateless_tts.SpeechRequest("Hi.", seed=SEED, language_id=language)
            found = wrapper.synthesize(request).audio
            wanted = KeptVoiceCall(model, multilingual=family == MULTILINGUAL)(request)
    except Exception as error:  # noqa: BLE001 - whatever a family's call raises, it is not what stock returns
        return f"{family}: {type(error).__name__}: {error}"
    if mark(found).sha256 == mark(wanted).sha256:
        return ""
    return f"{family}: {tuple(found.shape)} samples with other bits than stock's {tuple(wanted.shape)}"
