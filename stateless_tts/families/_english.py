"""`ChatterboxTTS`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stateless_tts.speech_tokens import SpeechTokenSampler, prepare_prompt, tokenize

from ._family import SpeakingFamily, Utterance, refuse

if TYPE_CHECKING:
    import torch

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import SpeechRequest
    from stateless_tts.voice import Voice


class EnglishFamily(SpeakingFamily):
    """English: a Llama backbone, guided by an unconditional row."""

    def rows(self, request: SpeechRequest) -> int:
        """Return 2, the second unconditional; at a `cfg_weight` of 0 there is none."""
        return 2 if request.cfg_weight > 0 else 1

    def check(self, request: SpeechRequest) -> None:
        """Refuse a language and a top-k."""
        refuse(request, "language_id", "ChatterboxMultilingualTTS", "ChatterboxTTS")
        refuse(request, "top_k", "ChatterboxTurboTTS", "ChatterboxTTS")

    def tokenize(self, request: SpeechRequest) -> torch.Tensor:
        """Return the tokens of the request's text, int64 of shape (1, tokens) on the model's device."""
        return tokenize(self.model, request.text)

    def begin(
        self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor, randomness: CallRandomness
    ) -> Utterance:
        """Prepare the decoding of one utterance; T3 is the shared one."""
        t3 = self.model.t3
        prompt = prepare_prompt(
            t3, voice, text_tokens, exaggeration=request.exaggeration, cfg_weight=request.cfg_weight
        )
        return Utterance(t3, prompt, SpeechTokenSampler(request, t3.hp, randomness, prompt.embeddings.device))
