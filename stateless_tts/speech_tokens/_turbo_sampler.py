"""From logits to the next speech token, as Turbo draws it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers.generation.logits_process import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from stateless_tts.errors import SamplingError

if TYPE_CHECKING:
    from chatterbox.models.t3.modules.t3_config import T3Config

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import Sampling


class TurboSampler:
    """Samples the tokens of one utterance; every request has a sampler of its own.

    The order of temperature, top-k, top-p, penalty and draw is that of upstream's `T3.inference_turbo`. As there, the
    first token ends nothing even if it is the stop token, and the utterance ends when no token is possible any more.

    Args:
        sampling: how to draw; `min_p` is ignored, as upstream does.
        temperature: above 0.
        max_new_tokens: most tokens after the first.
        hp: T3's start and stop tokens.
        randomness: this call's.
        device: where the logits are.

    Attributes:
        tokens: what has been drawn so far, the stop token included, each of shape (1, 1).
        stopped: whether the utterance has ended by itself.
    """

    def __init__(
        self,
        sampling: Sampling,
        temperature: float,
        max_new_tokens: int,
        hp: T3Config,
        randomness: CallRandomness,
        device: torch.device,
    ) -> None:
        self.tokens: list[torch.Tensor] = []
        self.stopped = False
        self._stop_token = hp.stop_speech_token
        self._max_new_tokens = max_new_tokens
        self._generator = randomness.generator(device)
        self._start = torch.tensor([[hp.start_speech_token]], dtype=torch.long, device=device)
        self._process = LogitsProcessorList()
        if temperature != 1.0:
            self._process.append(TemperatureLogitsWarper(temperature))
        if sampling.top_k:
            self._process.append(TopKLogitsWarper(sampling.top_k))
        if sampling.top_p < 1.0:
            self._process.append(TopPLogitsWarper(sampling.top_p))
        if sampling.repetition_penalty != 1.0:
            self._process.append(RepetitionPenaltyLogitsProcessor(sampling.repetition_penalty))

    @property
    def finished(self) -> bool:
        """Whether the utterance has ended by itself or reached its most tokens."""
        return self.stopped or len(self.tokens) > self._max_new_tokens

    @torch.inference_mode()
    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw the next token, of shape (1, 1), from `logits` of shape (1, vocabulary).

        Raises:
            SamplingError: the logits give no probability distribution.
        """
        # The start token counts as said for the first draw alone.
        said = torch.cat(self.tokens, dim=1) if self.tokens else self._start
        scores = self._process(said, logits)
        if self.tokens and bool(torch.isneginf(scores).all()):
            self.stopped = True
            return self.tokens[-1]
        probabilities = torch.softmax(scores, dim=-1)
        try:
            token = torch.multinomial(probabilities, num_samples=1, generator=self._generator)
        except RuntimeError as error:
            raise SamplingError(f"no speech token can be drawn at step {len(self.tokens) + 1}: {error}") from error
        self.stopped = bool(self.tokens) and bool(token.item() == self._stop_token)
        self.tokens.append(token)
        return token

    def speech_tokens(self) -> torch.Tensor:
        """Return the tokens drawn so far, int64 of shape (tokens,)."""
        return torch.cat(self.tokens, dim=1)[0] if self.tokens else self._start[0, :0]
