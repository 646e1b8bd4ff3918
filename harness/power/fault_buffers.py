"""Planted faults around what a call works with: caches, counters, histories, buffers, tables and hooks."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from harness.power.stepped import SteppedWrapper, decode_with
from stateless_tts.private import with_private
from stateless_tts.randomness import redirected_draws
from stateless_tts.speech_tokens import SpeechTokenSampler

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS

    from stateless_tts import SpeechRequest, Voice
    from stateless_tts.randomness import CallRandomness
    from stateless_tts.speech_tokens import Prompt

_LONGEST_TEXT, _LONGEST_MEL = 512, 4096
_TABLE = "flow.encoder.embed.pos_enc"


class _OwnLoop(SteppedWrapper):
    """Decodes with everything of its own, for a fault to share one part of it."""

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        sampler = self.sampler(request, prompt, randomness)
        cache = self.cache()
        return decode_with(self.model.t3, prompt, lambda: sampler, lambda: cache, lambda: len(sampler.tokens))

    def cache(self) -> DynamicCache:
        return DynamicCache(config=self.model.t3.cfg)


class SharedKeyValueCache(_OwnLoop):
    """The key/value cache is an attribute of the wrapper, emptied when a call starts to decode."""

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        sampler = self.sampler(request, prompt, randomness)
        self.key_values = self.cache()
        return decode_with(self.model.t3, prompt, lambda: sampler, lambda: self.key_values, lambda: len(sampler.tokens))


class SharedSampler(_OwnLoop):
    """The sampler is an attribute of the wrapper, replaced when a call starts to decode."""

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        self.speaker = self.sampler(request, prompt, randomness)
        cache = self.cache()
        return decode_with(self.model.t3, prompt, lambda: self.speaker, lambda: cache, lambda: len(self.speaker.tokens))


class _SharedHistorySampler(SpeechTokenSampler):
    """Penalises what anybody has said since the last call began."""

    history: torch.Tensor

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        kind = type(self)
        self._said = kind.history
        token = super().draw(logits)
        kind.history = torch.cat([kind.history, token], dim=1)
        return token


class SharedPenaltyHistory(SteppedWrapper):
    """The history that repetition is penalised by is kept on the sampler's class."""

    def sampler(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> SpeechTokenSampler:
        hp = self.model.t3.hp
        _SharedHistorySampler.history = torch.tensor([[hp.start_speech_token]])
        return _SharedHistorySampler(request, hp, randomness, prompt.embeddings.device)


class SharedPositionCounter(_OwnLoop):
    """The position in the utterance is counted on the wrapper, from 1 again when a call starts to decode."""

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        sampler, cache = self.sampler(request, prompt, randomness), self.cache()
        self.positions = itertools.count(1)
        return decode_with(self.model.t3, prompt, lambda: sampler, lambda: cache, lambda: next(self.positions))


class HiddenStateThroughHook(_OwnLoop):
    """Every call leaves a hook on T3's backbone, and reads the last hidden state that any hook has put down."""

    def decode(self, request: SpeechRequest, prompt: Prompt, randomness: CallRandomness) -> torch.Tensor:
        sampler, cache = self.sampler(request, prompt, randomness), self.cache()

        def note(_module: object, _inputs: object, output: object) -> None:
            self.hidden = output.last_hidden_state  # type: ignore[attr-defined] # transformers' model output

        self.model.t3.tfmr.register_forward_hook(note)
        return decode_with(
            self.model.t3, prompt, lambda: sampler, lambda: cache, lambda: len(sampler.tokens), lambda _: self.hidden
        )


class HooksLeftBehind(SteppedWrapper):
    """Every call leaves a hook that does nothing on T3's backbone: a leak that no output shows."""

    def begin(self, request: SpeechRequest) -> None:
        del request
        self.model.t3.tfmr.register_forward_hook(lambda *_: None)


class SharedTextBuffer(SteppedWrapper):
    """Text tokens are written into one buffer of the wrapper."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.text_buffer = torch.zeros(1, _LONGEST_TEXT, dtype=torch.long)

    def text_tokens(self, request: SpeechRequest) -> torch.Tensor:
        tokens = super().text_tokens(request)
        self.text_buffer[:, : tokens.size(1)] = tokens
        return self.text_buffer[:, : tokens.size(1)]


class SharedMelBuffer(SteppedWrapper):
    """Mel spectrograms are written into one buffer of the wrapper."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        self.mel_buffer = torch.zeros(1, 80, _LONGEST_MEL)

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        mel = super().mel(tokens, voice, randomness)
        self.mel_buffer[:, :, : mel.size(2)] = mel
        return self.mel_buffer[:, :, : mel.size(2)]


class _TableAsLeft(torch.nn.Module):
    """Upstream's position encoding without its check of the length: it reads the table as it was left."""

    def __init__(self, owner: SharedPositionTable) -> None:
        super().__init__()
        self.__dict__["owner"] = owner

    def forward(self, x: torch.Tensor, offset: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
        upstream = self.__dict__["owner"].positions
        return x * upstream.xscale, upstream.position_encoding(size=x.size(1), offset=offset)


class SharedPositionTable(SteppedWrapper):
    """One table of relative positions, cut to the longest that the last call may need, whoever needs more."""

    def __init__(self, model: ChatterboxTTS) -> None:
        super().__init__(model)
        shared = with_private(model.s3gen, [_TABLE])
        self.positions = shared.get_submodule(_TABLE)

    def voice(self, request: SpeechRequest) -> Voice:
        voice = super().voice(request)
        self.positions.pe = None
        self.positions.extend_pe(torch.zeros(1, request.max_new_tokens + voice.prompt_tokens.size(1)))
        return voice

    def mel(self, tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
        private = with_private(self.model.s3gen, [_TABLE, "flow.encoder.up_embed.pos_enc"])
        private.get_submodule("flow.encoder.embed").pos_enc = _TableAsLeft(self)
        with torch.inference_mode(), redirected_draws(randomness):
            mel: torch.Tensor = private.flow_inference(tokens, ref_dict=voice.s3gen_reference(), finalize=True)
        return mel
