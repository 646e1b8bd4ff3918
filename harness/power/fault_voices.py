"""Planted faults around the voice: where it is kept, what it is found by, and who writes to it."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.power.stepped import SteppedWrapper
from stateless_tts import Voice

if TYPE_CHECKING:
    import torch
    from chatterbox.models.t3.modules.cond_enc import T3Cond
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest
    from stateless_tts.randomness import CallRandomness
    from stateless_tts.speech_tokens import Prompt


def _tensors(voice: Voice) -> dict[str, Any]:
    return {field.name: getattr(voice, field.name) for field in fields(Voice)}


class SharedConditionals(SteppedWrapper):
    """The voice is stored on the wrapper and read back when it is needed."""

    def voice(self, request: SpeechRequest) -> Voice:
        self.conditionals = super().voice(request)
        return self.conditionals

    def prompt(self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor) -> Prompt:
        del voice
        return super().prompt(request, self.conditionals, text_tokens)

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        del voice
        return super().mel(tokens, self.conditionals, randomness)


class _VoiceWithSharedCond(Voice):
    """Hands one `T3Cond` to every call, filled anew in place."""

    def t3_conditioning(self, exaggeration: float) -> T3Cond:
        if "cond" not in self.__dict__:
            self.__dict__["cond"] = super().t3_conditioning(exaggeration)
        cond: T3Cond = self.__dict__["cond"]
        cond.emotion_adv = super().t3_conditioning(exaggeration).emotion_adv
        cond.cond_prompt_speech_emb = None
        return cond


class SharedT3Cond(SteppedWrapper):
    """Calls with the same voice share its `T3Cond`, which upstream writes to."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.shared: dict[int, Voice] = {}

    def voice(self, request: SpeechRequest) -> Voice:
        voice = super().voice(request)
        return self.shared.setdefault(id(voice), _VoiceWithSharedCond(**_tensors(voice)))


class _VoiceWithSharedReference(Voice):
    """Hands the wrapper's one reference dictionary to every call."""

    def s3gen_reference(self) -> dict[str, Any]:
        reference: dict[str, Any] = self.__dict__["reference"]
        return reference


class SharedReference(SteppedWrapper):
    """One reference dictionary for S3Gen, rewritten in place for each call's voice."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.reference: dict[str, Any] = {}

    def voice(self, request: SpeechRequest) -> Voice:
        voice = super().voice(request)
        self.reference.update(voice.s3gen_reference())
        shared = _VoiceWithSharedReference(**_tensors(voice))
        shared.__dict__["reference"] = self.reference
        return shared


class VoiceScaledInPlace(SteppedWrapper):
    """The clip's mel spectrogram is scaled in place for the call, and scaled back when the call ends."""

    def voice(self, request: SpeechRequest) -> Voice:
        voice = super().voice(request)
        voice.prompt_mel.mul_(2.0)  # a power of two: the scaling itself loses no bit
        return voice

    def end(self, voice: Voice) -> None:
        voice.prompt_mel.mul_(0.5)


class CacheByPath(SteppedWrapper):
    """Voices are cached under the clip's path, whatever the file holds by now."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.by_path: dict[str, Voice] = {}

    def voice(self, request: SpeechRequest) -> Voice:
        key = str(request.audio_prompt_path)
        if key not in self.by_path:
            self.by_path[key] = super().voice(request)
        return self.by_path[key]


class CacheByLength(SteppedWrapper):
    """Voices are cached under a key too short to tell two clips apart, so the previous voice comes back."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.by_length: dict[int, Voice] = {}

    def voice(self, request: SpeechRequest) -> Voice:
        if request.audio_prompt_path is None:
            return super().voice(request)
        assert not isinstance(request.audio_prompt_path, Voice)
        key = Path(request.audio_prompt_path).stat().st_size
        if key not in self.by_length:
            self.by_length[key] = super().voice(request)
        return self.by_length[key]


class DefaultVoiceOnSelf(SteppedWrapper):
    """A call's voice becomes the voice of calls that name none."""

    def voice(self, request: SpeechRequest) -> Voice:
        self.default_voice = super().voice(request)
        return self.default_voice


class ExaggerationOnSelf(SteppedWrapper):
    """The exaggeration is stored on the wrapper when a call begins and read back when it is needed."""

    def begin(self, request: SpeechRequest) -> None:
        self.intensity = request.exaggeration

    def exaggeration(self, request: SpeechRequest) -> float:
        del request
        return self.intensity
