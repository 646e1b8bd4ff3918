"""What T3 reads before it speaks: conditioning, text and the start of speech, as embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.private import with_private

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3

    from stateless_tts.voice import Voice


_PERCEIVER_ATTENTION = "cond_enc.perceiver.attn.attention"


@dataclass(frozen=True)
class Prompt:
    """T3's input before the first speech token.

    Attributes:
        embeddings: float of shape (rows, positions, width). Row 0 is conditional; row 1, present if classifier-free
            guidance is wanted, has its text blanked.
        text_span: first and one-past-last position of the text.
        voice_end: one past the last position that the voice alone decides; it is the same in all rows up to there.
        blank: of shape (tokens, width), what row 1 has in place of its text, and would have of a longer one; None if
            its text is not blanked. Shared; not to be written to.
    """

    embeddings: torch.Tensor
    text_span: tuple[int, int]
    voice_end: int
    blank: torch.Tensor | None = None


@torch.inference_mode()
def prepare_prompt(
    t3: T3,
    voice: Voice,
    text_tokens: torch.Tensor,
    *,
    exaggeration: float,
    cfg_weight: float,
    always_two_rows: bool = False,
) -> Prompt:
    """Embed voice, exaggeration and text, by upstream's `T3.prepare_input_embeds`.

    Args:
        t3: shared; not written to.
        voice: who speaks.
        text_tokens: int64 of shape (1, tokens), start and stop tokens included.
        exaggeration: emotional intensity.
        cfg_weight: above 0 adds the unconditional row.
        always_two_rows: keep the second row, a repetition of the first, at a `cfg_weight` of 0.
    """
    rows = 2 if cfg_weight > 0 or always_two_rows else 1
    text = text_tokens.expand(rows, -1)
    start = torch.full_like(text[:, :1], t3.hp.start_speech_token)
    embeddings, text_begin = _without_switches(t3).prepare_input_embeds(
        t3_cond=voice.t3_conditioning(float(exaggeration)),
        text_tokens=text,
        speech_tokens=start,
        cfg_weight=cfg_weight,
    )
    # Upstream embeds the start token once more, at position 0, after the one that `prepare_input_embeds` has put.
    beginning = t3.speech_emb(start[:1]) + t3.speech_pos_emb.get_fixed_embedding(0)
    embeddings = torch.cat([embeddings, beginning.expand(rows, -1, -1)], dim=1)
    # Upstream puts the exaggeration last of the conditioning.
    voice_end = text_begin - 1 if t3.hp.emotion_adv else text_begin
    # Upstream blanks the text before it adds where a token stands.
    blank = t3.text_pos_emb.emb.weight if cfg_weight > 0 and t3.hp.input_pos_emb == "learned" else None
    return Prompt(embeddings, (text_begin, text_begin + text.size(1)), voice_end, blank)


def _without_switches(t3: T3) -> T3:
    """Return a view of `t3` whose perceiver attends without a detour over torch's process-wide switches.

    Upstream wraps that attention in `torch.backends.cuda.sdp_kernel`, which turns all kernels on for the whole process
    and restores what it found; calls that overlap restore in the wrong order, and everybody else's attention obeys the
    same switches. With torch's own setting, all on, both give the same bits.
    """
    if not t3.hp.use_perceiver_resampler:
        return t3
    view = with_private(t3, [_PERCEIVER_ATTENTION])
    view.get_submodule(_PERCEIVER_ATTENTION).flash_attention = _attend
    return view


def _attend(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None = None
) -> torch.Tensor:
    return functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)


@torch.inference_mode()
def prepare_turbo_prompt(t3: T3, voice: Voice, text_tokens: torch.Tensor) -> Prompt:
    """Embed voice and text for Turbo's backbone: one row, and the start of speech once.

    Args:
        t3: shared; not written to.
        voice: who speaks.
        text_tokens: int64 of shape (1, tokens).
    """
    embeddings, text_begin = t3.prepare_input_embeds(
        t3_cond=voice.t3_conditioning(exaggeration=0.0),  # Turbo has no input for it
        text_tokens=text_tokens,
        speech_tokens=torch.full_like(text_tokens[:, :1], t3.hp.start_speech_token),
        cfg_weight=0.0,
    )
    return Prompt(embeddings, (text_begin, text_begin + text_tokens.size(1)), text_begin)
