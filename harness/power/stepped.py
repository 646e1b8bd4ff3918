"""The stateless wrapper's call as steps that a fault can replace one at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from stateless_tts import StatelessChatterBoxWrapper, Voice
from stateless_tts.mel import readable_tokens, render_mel
from stateless_tts.randomness import CallRandomness
from stateless_tts.speech_tokens import Prompt, SpeechTokenSampler, decode, prepare_prompt, tokenize
from stateless_tts.waveform import vocode, watermark

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS
    from transformers import DynamicCache

    from stateless_tts import SpeechRequest


class SteppedWrapper(StatelessChatterBoxWrapper):
    """The wrapper without a fault: `speak` gives the bits of `synthesize`, by the same public rooms."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        assert model.conds is not None
        self.default_voice = Voice.from_conditionals(model.conds)

    def speak(self, request: SpeechRequest) -> torch.Tensor:
        """Return the watermarked waveform, float32 of shape (1, samples)."""
        self.begin(request)
        text_tokens = self.text_tokens(request)
        voice = self.voice(request)
        randomness = self.randomness(request)
        prompt = self.prompt(request, voice, text_tokens)
        spoken = self.decode(request, prompt, randomness)
        mel = self.mel(readable_tokens(spoken), voice, randomness)
        waveform = self.waveform(mel, randomness)
        self.end(voice)
        return watermark(self.model.watermarker, waveform, self.sr)

    def begin(self, request: SpeechRequest) -> None:
        """Do nothing; a fault may."""

    def text_tokens(self, request: SpeechRequest) -> torch.Tensor:
        """Return int64 of shape (1, tokens)."""
        return tokenize(self.model, request.text)

    def voice(self, request: SpeechRequest) -> Voice:
        """Return who speaks."""
        if request.audio_prompt_path is None:
            return self.default_voice
        return self.prepare_voice(request.audio_prompt_path)

    def randomness(self, request: SpeechRequest) -> CallRandomness:
        """Return the call's generators."""
        assert request.seed is not None
        return CallRandomness(request.seed)

    def exaggeration(self, request: SpeechRequest) -> float:
        """Return the emotional intensity."""
        return request.exaggeration

    def prompt(self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor) -> Prompt:
        """Return what T3 reads first."""
        return prepare_prompt(
            self.model.t3,
            voice,
            text_tokens,
            exaggeration=self.exaggeration(request),
            cfg_weight=request.cfg_weight,
        )

    def sampler(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> SpeechTokenSampler:
        """Return the sampler of the utterance."""
        return SpeechTokenSampler(request, self.model.t3.hp, randomness, prompt.embeddings.device)

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        """Return speech tokens, int64 of shape (tokens,)."""
        return decode(self.model.t3, prompt, self.sampler(request, prompt, randomness), lambda: None)

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        """Return the mel spectrogram, float of shape (1, 80, frames)."""
        return render_mel(self.model.s3gen, tokens, voice, randomness)

    def waveform(self, mel: torch.Tensor, randomness: CallRandomness) -> torch.Tensor:
        """Return the waveform, float of shape (1, samples)."""
        return vocode(self.model.s3gen, mel, randomness)

    def end(self, voice: Voice) -> None:
        """Do nothing; a fault may."""


@torch.inference_mode()
def decode_with(
    t3: T3,
    prompt: Prompt,
    sampler: Callable[[], SpeechTokenSampler],
    cache: Callable[[], DynamicCache],
    position: Callable[[], int],
    hidden_of: Callable[[torch.Tensor], torch.Tensor] = lambda hidden: hidden,
) -> torch.Tensor:
    """Decode as `stateless_tts.speech_tokens.decode` does, asking anew at every step for what a call should own."""
    inputs = prompt.embeddings
    while True:
        hidden = t3.tfmr(inputs_embeds=inputs, past_key_values=cache(), use_cache=True).last_hidden_state
        token = sampler().draw(t3.speech_head(hidden_of(hidden))[:, -1, :])
        if sampler().finished:
            return sampler().speech_tokens()
        embedding = t3.speech_emb(token) + t3.speech_pos_emb.get_fixed_embedding(position())
        inputs = embedding.expand(inputs.size(0), -1, -1)
