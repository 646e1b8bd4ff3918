"""From logits to the next speech token: the state and the parameters of one request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import torch
from transformers.generation.logits_process import (
    MinPLogitsWarper,
    RepetitionPenaltyLogitsProcessor,
    TopPLogitsWarper,
)

from stateless_tts.errors import SamplingError
from stateless_tts.request import ENGLISH_SAMPLING

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.models.t3.modules.t3_config import T3Config

    from stateless_tts.randomness import CallRandomness
    from stateless_tts.request import SpeechRequest


class Sampler(Protocol):
    """What decoding needs of a sampler: the state of one utterance."""

    tokens: list[torch.Tensor]
    stopped: bool

    @property
    def finished(self) -> bool:
        """Whether there is nothing more to draw."""
        ...

    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw the next token, of shape (1, 1), from `logits` of shape (rows, vocabulary)."""
        ...

    def speech_tokens(self) -> torch.Tensor:
        """Return the tokens drawn so far, int64 of shape (tokens,)."""
        ...


class SpeechTokenSampler:
    """Samples the tokens of one utterance; every request has a sampler of its own.

    The order of guidance, inspection, penalty, temperature, min-p, top-p and draw is that of upstream's
    `T3.inference`; the processors are those of transformers that upstream uses.

    Args:
        request: whose parameters; those left open take English's defaults.
        hp: T3's start and stop tokens.
        randomness: this call's.
        device: where the logits are.
        inspect: given the guided logits, of shape (1, vocabulary), and the last token, returns the logits to go on
            with; for the multilingual family's alignment analyser.

    Attributes:
        tokens: what has been drawn so far, the stop token included, each of shape (1, 1).
        stopped: whether the stop token has been drawn.
        cfg_weight, temperature, repetition_penalty, min_p, top_p: as asked for, or English's.
        start_token: counts as said before anything is drawn.
        generator: of the draws.
        inspect: as given.
    """

    def __init__(
        self,
        request: SpeechRequest,
        hp: T3Config,
        randomness: CallRandomness,
        device: torch.device,
        inspect: Callable[[torch.Tensor, int], torch.Tensor] | None = None,
    ) -> None:
        sampling = request.sampling(ENGLISH_SAMPLING)
        self.tokens: list[torch.Tensor] = []
        self.stopped = False
        self._stop_token = hp.stop_speech_token
        self._max_new_tokens = int(request.max_new_tokens)
        self.cfg_weight = float(request.cfg_weight)
        self.temperature = float(request.temperature)
        self.repetition_penalty, self.min_p, self.top_p = sampling.repetition_penalty, sampling.min_p, sampling.top_p
        self.start_token: int = hp.start_speech_token
        self.generator = randomness.generator(device)
        self.inspect = inspect
        self._said = torch.tensor([[hp.start_speech_token]], dtype=torch.long, device=device)
        self._penalise = RepetitionPenaltyLogitsProcessor(penalty=self.repetition_penalty)
        self._warpers: tuple[Callable[[torch.Tensor, torch.Tensor], torch.Tensor], ...] = (
            MinPLogitsWarper(min_p=self.min_p),
            # Upstream always sorts all logits for it. With 1.0 it would take away what has no probability anyway.
            *([TopPLogitsWarper(top_p=self.top_p)] if self.top_p < 1.0 else []),
        )

    @property
    def finished(self) -> bool:
        """Whether the utterance has stopped by itself or reached its most tokens."""
        return self.stopped or len(self.tokens) >= self._max_new_tokens

    @torch.inference_mode()
    def draw(self, logits: torch.Tensor) -> torch.Tensor:
        """Draw the next token, of shape (1, 1), from `logits` of shape (rows, vocabulary).

        Raises:
            SamplingError: the logits give no probability distribution.
        """
        scores = self._guide(logits)
        if self.inspect is not None:
            scores = self._inspected(scores)
        scores = self._penalise(self._said, scores)
        if self.temperature != 1.0:
            scores = scores / self.temperature
        for warp in self._warpers:
            scores = warp(self._said, scores)
        probabilities = torch.softmax(scores, dim=-1)
        try:
            token = torch.multinomial(probabilities, num_samples=1, generator=self.generator)
        except RuntimeError as error:
            raise self.cannot_draw(error) from error
        self._said = torch.cat([self._said, token], dim=1)
        self.take(token, int(token))
        return token

    def take(self, token: torch.Tensor, number: int) -> None:
        """Count `token`, of shape (1, 1), as drawn; it is the token `number`."""
        self.tokens.append(token)
        self.stopped = number == self._stop_token

    def cannot_draw(self, reason: object) -> SamplingError:
        """Return what to raise if the logits give no probability distribution."""
        return SamplingError(
            f"no speech token can be drawn at step {len(self.tokens) + 1} with temperature={self.temperature}, "
            f"cfg_weight={self.cfg_weight}: {reason}"
        )

    def speech_tokens(self) -> torch.Tensor:
        """Return the tokens drawn so far, int64 of shape (tokens,)."""
        return torch.cat(self.tokens, dim=1)[0] if self.tokens else self._said[0, :0]

    def _inspected(self, scores: torch.Tensor) -> torch.Tensor:
        assert self.inspect is not None
        try:
            return self.inspect(scores, int(self._said[0, -1].item()))
        except (IndexError, RuntimeError) as error:
            raise SamplingError(
                f"upstream's alignment analyser cannot follow this text (step {len(self.tokens) + 1}: {error}); "
                f"expected a longer text"
            ) from error

    def _guide(self, logits: torch.Tensor) -> torch.Tensor:
        conditional = logits[0:1]
        if logits.size(0) == 1:
            return conditional
        weight = torch.as_tensor(self.cfg_weight, device=logits.device, dtype=logits.dtype)
        return conditional + weight * (conditional - logits[1:2])
