"""From text to text tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.tts import punc_norm

from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from chatterbox.tts import ChatterboxTTS


def tokenize(model: ChatterboxTTS, text: str) -> torch.Tensor:
    """Normalise and tokenize `text` as upstream does, between its start and stop tokens.

    Returns:
        Text tokens, int64 of shape (1, tokens) on the model's device.

    Raises:
        InvalidParameterError: the text has more tokens than T3 has text positions.
    """
    hp = model.t3.hp
    tokens = model.tokenizer.text_to_tokens(punc_norm(text)).to(torch.long)
    most = hp.max_text_tokens
    if tokens.size(1) > most:
        raise InvalidParameterError(
            f"text of {len(text)} characters ({text[:40]!r}...) has {tokens.size(1)} tokens: expected at most {most}; "
            f"split it into sentences"
        )
    bounded = torch.nn.functional.pad(tokens, (1, 0), value=hp.start_text_token)
    bounded = torch.nn.functional.pad(bounded, (0, 1), value=hp.stop_text_token)
    return bounded.to(model.device)
