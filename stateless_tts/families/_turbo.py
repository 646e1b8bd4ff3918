"""`ChatterboxTurboTTS`."""

from __future__ import annotations

import copy
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3gen.const import S3GEN_SIL
from chatterbox.models.s3tokenizer import SPEECH_VOCAB_SIZE
from chatterbox.tts_turbo import punc_norm

from stateless_tts.errors import InvalidParameterError
from stateless_tts.request import Sampling, SpeechRequest
from stateless_tts.speech_tokens import TurboSampler, prepare_turbo_prompt
from stateless_tts.voice import check_clip, encode_voice

from ._family import SpeakingFamily, Utterance, refuse, require_longer

if TYPE_CHECKING:
    from chatterbox.tts_turbo import ChatterboxTurboTTS
    from transformers import PreTrainedTokenizerBase

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.voice import Clip, Voice

logger = logging.getLogger(__name__)

_SAMPLING = Sampling(repetition_penalty=1.2, min_p=0.0, top_p=0.95, top_k=1000)
_SHORTEST_CLIP_SECONDS = 5.0
_CLOSING_SILENCE = (S3GEN_SIL, S3GEN_SIL, S3GEN_SIL)
_IGNORED = ("exaggeration", "cfg_weight", "min_p")
_NEUTRAL = SpeechRequest(text="")


@dataclass(frozen=True, eq=False)
class TurboFamily(SpeakingFamily):
    """Turbo: a GPT-2 backbone without guidance, and an S3Gen distilled to two steps.

    As upstream, it ignores `exaggeration`, `cfg_weight` and `min_p`, and says so in the log. Where upstream takes
    ``temperature=0`` for 1, `SpeechRequest` refuses it: ask for 1 to have upstream's bits.

    Attributes:
        tokenizer: a copy of the model's. Called with padding and truncation, a fast tokenizer writes these settings to
            itself, and fails with "Already borrowed" if another thread reads it meanwhile; ours are written once, here.
    """

    tokenizer: PreTrainedTokenizerBase

    @classmethod
    def of(cls, model: ChatterboxTurboTTS) -> TurboFamily:
        """Bind the family to `model`."""
        family = cls(model, copy.deepcopy(model.tokenizer))
        family.tokenize(_NEUTRAL)
        return family

    def rows(self, request: SpeechRequest) -> int:  # noqa: ARG002 - the same for every request
        """Return 1: Turbo is not guided."""
        return 1

    def check(self, request: SpeechRequest) -> None:
        """Refuse a language; say what will be ignored."""
        refuse(request, "language_id", "ChatterboxMultilingualTTS", "ChatterboxTurboTTS")
        for name in _IGNORED:
            value = getattr(request, name)
            if value and value != getattr(_NEUTRAL, name):
                logger.warning("%s=%r is ignored: Turbo does not support it", name, value)

    def check_loudness(self, norm_loudness: bool | None) -> None:
        """Refuse what is no truth value: stock would take a 0 for one.

        Raises:
            InvalidParameterError: it is neither None, True nor False.
        """
        if not (norm_loudness is None or isinstance(norm_loudness, bool)):
            raise InvalidParameterError(f"norm_loudness={norm_loudness!r}: expected None, True or False")

    def encode_voice(self, clip: Clip, *, norm_loudness: bool | None = None) -> Voice:
        """Prepare the voice of `clip`, brought to -27 LUFS before unless `norm_loudness` is False."""
        require_longer(clip, check_clip(clip), _SHORTEST_CLIP_SECONDS)
        return encode_voice(self.model, clip, norm_loudness=norm_loudness is not False)

    def tokenize(self, request: SpeechRequest) -> torch.Tensor:
        """Return the tokens of the request's text; as upstream's, cut off at the tokenizer's own maximum."""
        encoded = self.tokenizer(punc_norm(request.text), return_tensors="pt", padding=True, truncation=True)
        tokens: torch.Tensor = encoded.input_ids
        if tokens.size(1) >= self.tokenizer.model_max_length:
            logger.warning(
                "text of %d characters is cut off at %d tokens; split it into sentences",
                len(request.text),
                tokens.size(1),
            )
        return tokens.to(self.model.t3.device)

    def begin(
        self, request: SpeechRequest, voice: Voice, text_tokens: torch.Tensor, randomness: CallRandomness
    ) -> Utterance:
        """Prepare the decoding of one utterance; T3 is the shared one."""
        t3 = self.model.t3
        prompt = prepare_turbo_prompt(t3, voice, text_tokens)
        sampler = TurboSampler(
            request.sampling(_SAMPLING),
            float(request.temperature),
            int(request.max_new_tokens),
            t3.hp,
            randomness,
            prompt.embeddings.device,
        )
        return Utterance(t3, prompt, sampler)

    def readable(self, spoken: torch.Tensor) -> torch.Tensor:
        """Return what S3Gen is given of the tokens `spoken`, of shape (tokens,), and a closing silence."""
        silence = torch.tensor(_CLOSING_SILENCE, dtype=torch.long, device=spoken.device)
        return torch.cat([spoken[spoken < SPEECH_VOCAB_SIZE], silence])
