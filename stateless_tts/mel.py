"""From speech tokens to a mel spectrogram: S3Gen's flow-matching decoder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from chatterbox.models.s3tokenizer import EOS, SOS, SPEECH_VOCAB_SIZE, drop_invalid_tokens

from .errors import SamplingError
from .private import with_private
from .randomness import redirected_draws

if TYPE_CHECKING:
    from chatterbox.models.s3gen import S3Gen

    from .randomness import CallRandomness
    from .voice import Voice

# These lengthen their table, on themselves, when an input is longer than any before.
_POSITION_TABLES = ("flow.encoder.embed.pos_enc", "flow.encoder.up_embed.pos_enc")


def readable_tokens(speech_tokens: torch.Tensor) -> torch.Tensor:
    """Keep what S3Gen can read of T3's tokens, of shape (tokens,): neither start nor stop, nor any id above 6560.

    Raises:
        SamplingError: nothing is left, or speech begins or ends more than once; stock ends in an error of a convolution
            or of an index then.
    """
    said = speech_tokens.tolist()
    for marker, what in ((SOS, "begin"), (EOS, "end")):
        if (times := said.count(marker)) > 1:
            raise SamplingError(f"T3 let its speech {what} {times} times (token {marker}); try another seed")
    kept: torch.Tensor = drop_invalid_tokens(speech_tokens)
    kept = kept[kept < SPEECH_VOCAB_SIZE]
    if kept.numel() == 0:
        raise SamplingError(f"T3 said nothing that can be heard (tokens {said}); try another seed")
    return kept


@torch.inference_mode()
def render_mel(s3gen: S3Gen, speech_tokens: torch.Tensor, voice: Voice, randomness: CallRandomness) -> torch.Tensor:
    """Return the mel spectrogram, float of shape (1, 80, frames) at 50 frames per second, for readable `speech_tokens`.

    Args:
        s3gen: shared; not written to.
        speech_tokens: int64 of shape (tokens,).
        voice: who speaks.
        randomness: this call's; the flow starts from noise.
    """
    private = with_private(s3gen, _POSITION_TABLES)
    with redirected_draws(randomness):
        mel: torch.Tensor = private.flow_inference(speech_tokens, ref_dict=voice.s3gen_reference(), finalize=True)
    return mel.to(dtype=s3gen.dtype)
