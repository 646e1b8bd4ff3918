"""The decoding loop of one utterance on its own: prefill, then a token at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatterbox.models.t3 import T3

    from ._prompt import Prompt
    from ._sampler import Sampler


@torch.inference_mode()
def decode(t3: T3, prompt: Prompt, sampler: Sampler, checkpoint: Callable[[], None]) -> torch.Tensor:
    """Let T3 speak until the sampler is finished.

    Args:
        t3: shared; not written to. The key/value cache belongs to this call.
        prompt: what T3 reads first.
        sampler: this call's sampler.
        checkpoint: called before every step; an exception raised from it ends the call.

    Returns:
        Speech tokens as drawn, int64 of shape (tokens,), the stop token included.
    """
    cache = DynamicCache(config=t3.cfg)
    inputs = prompt.embeddings
    while True:
        checkpoint()
        hidden = t3.tfmr(inputs_embeds=inputs, past_key_values=cache, use_cache=True).last_hidden_state
        # As many positions go through the head as upstream's do: a product of another shape may round differently.
        heard = hidden[:, -1:] if t3.is_gpt else hidden
        token = sampler.draw(t3.speech_head(heard)[:, -1, :])
        if sampler.finished:
            return sampler.speech_tokens()
        inputs = embed_speech_token(t3, token, len(sampler.tokens)).expand(inputs.size(0), -1, -1)


def embed_speech_token(t3: T3, token: torch.Tensor, position: int) -> torch.Tensor:
    """Embed `token` of shape (1, 1) at `position` of the utterance; returns shape (1, 1, width)."""
    embedding: torch.Tensor = t3.speech_emb(token)
    if t3.speech_pos_emb is not None:  # Turbo's backbone adds positions of its own
        embedding = embedding + t3.speech_pos_emb.get_fixed_embedding(position)
    return embedding
