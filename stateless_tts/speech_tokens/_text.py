"""From text to text tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.tts import punc_norm

from stateless_tts.errors import InvalidParameterError

if TYPE_CHECKING:
    from chatterbox.models.t3.modules.t3_config import T3Config
    from chatterbox.tts import ChatterboxTTS


def tokenize(model: ChatterboxTTS, text: str) -> torch.Tensor:
    """Normalise and tokenize `text` as upstream does, between its start and stop tokens.

    Returns:
        Text tokens, int64 of shape (1, tokens) on the model's device.

    Raises:
        InvalidParameterError: the text has more tokens than T3 has text positions.
    """
    return bounded(model.tokenizer.text_to_tokens(punc_norm(text)), model.t3.hp, text).to(model.t3.device)


def bounded(tokens: torch.Tensor, hp: T3Config, text: str) -> torch.Tensor:
    """Put `tokens`, of shape (1, tokens), between T3's start and stop tokens, as int64.

    Raises:
        InvalidParameterError: `text` has more tokens than T3 has text positions.
    """
    most = hp.max_text_tokens
    if tokens.size(1) > most:
        raise InvalidParameterError(
            f"text of {len(text)} characters ({text[:40]!r}...) has {tokens.size(1)} tokens: expected at most {most}; "
            f"split it into sentences"
        )
    begun = torch.nn.functional.pad(tokens.to(torch.long), (1, 0), value=hp.start_text_token)
    return torch.nn.functional.pad(begun, (0, 1), value=hp.stop_text_token)
