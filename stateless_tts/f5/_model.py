"""The model that all calls share, and what a call has of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from f5_tts.model import CFM
from f5_tts.model.utils import convert_char_to_pinyin
from vocos import Vocos

from stateless_tts.errors import UnsupportedModelError
from stateless_tts.private import with_private
from stateless_tts.randomness import CallRandomness, redirected_draws

if TYPE_CHECKING:
    from collections.abc import Callable

VOCODER = "vocos"


@dataclass(frozen=True, eq=False)
class F5Model:
    """Upstream's two models. No call writes to them.

    Making one is set-up: the modules are put in `eval` mode and upstream's process-wide tables are filled.

    Args:
        cfm: text and clip to mel spectrogram.
        vocoder: mel spectrogram to waveform.

    Raises:
        UnsupportedModelError: the models are not upstream's `CFM` and `Vocos`.
    """

    cfm: CFM
    vocoder: Vocos

    def __post_init__(self) -> None:
        for name, expected in (("cfm", CFM), ("vocoder", Vocos)):
            given = getattr(self, name)
            if not isinstance(given, expected):
                raise UnsupportedModelError(f"{name} is {type(given).__name__}; expected a {expected.__name__}")
            given.eval()
        _fill_tables(self)

    @property
    def device(self) -> torch.device:
        """The device the model is on."""
        device: torch.device = self.cfm.device
        return device

    @property
    def sample_rate(self) -> int:
        """Of the waveform, in Hz."""
        return int(self.cfm.mel_spec.target_sample_rate)

    @property
    def hop_length(self) -> int:
        """Samples between two frames of the mel spectrogram."""
        return int(self.cfm.mel_spec.hop_length)


def private_cfm(cfm: CFM, checkpoint: Callable[[], None]) -> CFM:
    """Return a CFM for one call: what upstream's `sample` writes to is the call's own, the weights are the shared ones.

    Args:
        cfm: shared, in `eval` mode; not written to.
        checkpoint: called at every step of the flow; an exception raised from it ends the call.
    """
    own: Any = with_private(cfm, ["transformer"])
    # A table per thread, for the text of the call at hand. A call that fails leaves its text in it, for the next.
    own.transformer.__dict__.pop("_cache_local", None)
    own.transformer.clear_cache()
    own.transformer.register_forward_pre_hook(lambda *_: checkpoint())
    # `sample` begins with eval(), which writes to every module below; these are in that mode already.
    own.__dict__["eval"] = lambda: None
    return own


def _fill_tables(model: F5Model) -> None:
    """Speak once: upstream and einops fill process-wide tables when they are first needed, and no call has to."""
    own: Any = private_cfm(model.cfm, lambda: None)
    silence = torch.zeros(1, model.sample_rate // 10, device=model.device)
    with torch.inference_mode(), redirected_draws(CallRandomness(0)):
        mel, _ = own.sample(silence, convert_char_to_pinyin(["Hello, 你好。"]), 1, steps=1)
        model.vocoder.decode(mel.to(torch.float32).permute(0, 2, 1))
