"""The calls by name, which the wrapper and the engine share: one signature for both, in one place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .request import ConversionRequest, SpeechRequest

if TYPE_CHECKING:
    import os

    import torch

    from .request import SpeechResult
    from .voice import Voice


class NamedCalls(ABC):
    """Whoever can `synthesize` a request also takes its parameters one by one."""

    @abstractmethod
    def synthesize(self, request: SpeechRequest | ConversionRequest) -> SpeechResult:
        """Carry out `request` and wait for the result."""

    def generate_stateless(
        self,
        text: str,
        audio_prompt_path: str | os.PathLike[str] | Voice | None = None,
        exaggeration: float = 0.5,
        cfg_weight: float = 0.5,
        temperature: float = 0.8,
        seed: int | None = None,
        *,
        language_id: str | None = None,
        repetition_penalty: float = SpeechRequest.repetition_penalty,
        min_p: float = SpeechRequest.min_p,
        top_p: float = SpeechRequest.top_p,
        top_k: int | None = None,
        max_new_tokens: int = 1000,
    ) -> torch.Tensor:
        """Speak `text` and wait; the arguments are those of `SpeechRequest`.

        Returns:
            Watermarked waveform, float32 of shape (1, samples) on the CPU, at `sr` Hz.

        Raises:
            StatelessTTSError: bad input, found before any work is done.
        """
        request = SpeechRequest(
            text=text,
            audio_prompt_path=audio_prompt_path,
            exaggeration=exaggeration,
            cfg_weight=cfg_weight,
            temperature=temperature,
            seed=seed,
            repetition_penalty=repetition_penalty,
            min_p=min_p,
            top_p=top_p,
            max_new_tokens=max_new_tokens,
            top_k=top_k,
            language_id=language_id,
        )
        return self.synthesize(request).audio

    def convert(
        self,
        audio: str | os.PathLike[str],
        target_voice_path: str | os.PathLike[str] | Voice | None = None,
        seed: int | None = None,
    ) -> torch.Tensor:
        """Say what the recording `audio` says in another voice; the arguments are those of `ConversionRequest`.

        Returns:
            Watermarked waveform, float32 of shape (1, samples) on the CPU, at `sr` Hz.

        Raises:
            StatelessTTSError: bad input, found before any work is done.
        """
        return self.synthesize(ConversionRequest(audio, target_voice_path, seed)).audio
