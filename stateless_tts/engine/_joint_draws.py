"""The next tokens of many requests, drawn together: on a GPU, where asking for an operation takes longer than doing it.

Each request keeps its own place among the rows, its own parameters and its own generator. What adds numbers up has one
shape, whoever else is there, and all rows begin at the same distance from what the GPU reads at once, so that a row's
bits are its own. The order of guidance, penalty, temperature, min-p, top-p and draw is `SpeechTokenSampler`'s; sums may
round otherwise than there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional
from transformers.generation.logits_process import TopPLogitsWarper

from stateless_tts.speech_tokens import SpeechTokenSampler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stateless_tts.errors import SamplingError
    from stateless_tts.speech_tokens import Sampler

# Rows begin this many elements apart, or a multiple.
_ALIGNED = 64


class JointDraws:
    """Draws for up to so many requests at once. One thread calls.

    Args:
        most_requests: places.
        vocabulary: logits of a row.
        dtype: of the logits.
        device: where they are.
    """

    def __init__(self, most_requests: int, vocabulary: int, dtype: torch.dtype, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._free = list(range(most_requests))[::-1]
        self._places: dict[SpeechTokenSampler, int] = {}
        self._said = torch.zeros(most_requests, vocabulary, dtype=torch.bool, device=device)
        # cfg_weight, temperature, repetition penalty, min-p.
        self._parameters = torch.ones(4, most_requests, 1, dtype=torch.float32, device=device)
        self._noise = torch.ones(most_requests, vocabulary + -vocabulary % _ALIGNED, dtype=dtype, device=device)

    def join(self, sampler: Sampler) -> None:
        """Give a request a place, if it is one whose tokens are drawn as English's are and nobody inspects them."""
        if not isinstance(sampler, SpeechTokenSampler) or sampler.inspect is not None:
            return
        place = self._places[sampler] = self._free.pop()
        said = [sampler.start_token, *(int(token) for token in sampler.tokens)]
        self._said[place] = False
        self._said[place, torch.tensor(said, device=self._device)] = True
        parameters = (sampler.cfg_weight, sampler.temperature, sampler.repetition_penalty, sampler.min_p)
        self._parameters[:, place, 0] = torch.tensor(parameters, dtype=torch.float32, device=self._device)

    def leave(self, sampler: Sampler) -> None:
        """Take back the place of a request, if it has one."""
        if isinstance(sampler, SpeechTokenSampler) and sampler in self._places:
            self._free.append(self._places.pop(sampler))

    def has(self, sampler: Sampler) -> bool:
        """Whether the request has a place."""
        return isinstance(sampler, SpeechTokenSampler) and sampler in self._places

    @torch.inference_mode()
    def draw(self, readings: Sequence[tuple[Sampler, torch.Tensor]]) -> dict[Sampler, SamplingError]:
        """Draw the next token of each sampler, which has a place, from its logits of shape (rows, vocabulary).

        Returns:
            Whose logits give no probability distribution; nothing was drawn for them.
        """
        samplers = [sampler for sampler, _ in readings if isinstance(sampler, SpeechTokenSampler)]
        probabilities = self._probabilities(samplers, [logits for _, logits in readings])
        for sampler in samplers:
            self._noise[self._places[sampler], : self._vocabulary].exponential_(generator=sampler.generator)
        # What `torch.multinomial` does for a single draw.
        tokens = (probabilities / self._noise).argmax(dim=1, keepdim=True)
        usable = probabilities.amax(dim=1, keepdim=True) > 0  # false for NaN
        places = torch.tensor([self._places[sampler] for sampler in samplers], device=self._device)
        self._said[places, tokens[places, 0]] = True
        known = torch.cat((tokens, usable.long()), dim=1).tolist()
        failed: dict[Sampler, SamplingError] = {}
        for sampler in samplers:
            place = self._places[sampler]
            number, is_usable = known[place]
            if is_usable:
                sampler.take(tokens[place : place + 1], number)
            else:
                failed[sampler] = sampler.cannot_draw("the probabilities are not finite")
        return failed

    def _probabilities(self, samplers: Sequence[SpeechTokenSampler], logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the probabilities at every place, of shape (places, aligned vocabulary); anything where nobody is."""
        scores = self._guided(samplers, logits)
        dtype = scores.dtype
        _, temperatures, penalties, least = self._parameters
        wide = scores.float()  # as arithmetic with a number is done, before it is rounded again
        penalised = torch.where(wide < 0, wide * penalties, _quotient(wide, penalties)).to(dtype)
        scores = torch.where(self._said, penalised, scores)
        scores = _quotient(scores.float(), temperatures).to(dtype)
        scores = functional.pad(scores, (0, self._noise.size(1) - self._vocabulary), value=float("-inf"))
        before = torch.softmax(scores, dim=-1)
        threshold = (before.amax(dim=-1, keepdim=True).float() * least).to(dtype)
        scores = scores.masked_fill(before < threshold, float("-inf"))
        for sampler in samplers:
            if sampler.top_p < 1.0:
                row = scores[self._places[sampler], : self._vocabulary]
                # Twice: a GPU adds a single row up in an order that changes from run to run.
                row.copy_(TopPLogitsWarper(top_p=sampler.top_p)(None, row.repeat(2, 1))[0])
        return torch.softmax(scores, dim=-1)

    def _guided(self, samplers: Sequence[SpeechTokenSampler], logits: Sequence[torch.Tensor]) -> torch.Tensor:
        """Return the guided logits at every place, of shape (places, vocabulary)."""
        rows = [[0] * len(self._said) for _ in range(2)]  # conditional and unconditional, of each place
        first = 0
        for sampler, own in zip(samplers, logits, strict=True):
            place = self._places[sampler]
            rows[0][place], rows[1][place] = first, first + own.size(0) - 1
            first += own.size(0)
        together = torch.cat(list(logits))
        first_and_last = torch.tensor(rows, device=self._device)
        conditional, unconditional = together[first_and_last]
        weights = self._parameters[0].to(together.dtype)
        guided = conditional + weights * (conditional - unconditional)
        alone = (first_and_last[0] == first_and_last[1])[:, None]  # a single row is not guided, infinite or not
        return torch.where(alone, conditional, guided)


def _quotient(numbers: torch.Tensor, divisors: torch.Tensor) -> torch.Tensor:
    """Return ``numbers / divisors`` with the bits that torch has where each divisor is a Python number."""
    return numbers * divisors.reciprocal() if numbers.device.type == "cuda" else numbers / divisors
