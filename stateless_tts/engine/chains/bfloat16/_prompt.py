"""T3's prompts in bfloat16 as chains of kernels with torch's bits; positions attend by torch's operation.

Torch's causal attention has no place for positions that have been read before: its rows begin where its keys do. So it
is asked for all of a prompt up to here, as stock asks for it, with queries of nobody's where there is nothing to be
read. That costs little beside the products that are spared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine._passages import Cuts
from stateless_tts.engine._projections import StreamedLinear
from stateless_tts.engine.chains._layers import chainable_layers
from stateless_tts.engine.chains._prompt import ChainedPrompt

if TYPE_CHECKING:
    from chatterbox.models.t3 import T3

    from stateless_tts.engine.chains._prompt import Attend
    from stateless_tts.speech_tokens import Prompt

    from ._layer_calls import TorchLayerCalls

# More than a prompt has.
_MANY_ROWS = 2**16
# Queries that torch's attention on a CPU takes at a time, if there are fewer of them than so many
# (aten/native/cpu/FlashAttentionKernel.cpp).
_TILE = 32
_POSITIONS_OF_LARGER_TILES = 192


def torch_prompt(t3: T3, calls: TorchLayerCalls) -> ChainedPrompt | None:
    """Return what reads prompts of `t3`, or None where products do not take so many rows, or numbers go by their place.

    Whether prompts have torch's bits on this machine has to be found out by whoever uses it.

    Args:
        t3: as decoding reads it; not written to.
        calls: for its layers, as a step has them.
    """
    head = t3.speech_head
    by_row = isinstance(head, StreamedLinear) and head.takes(_MANY_ROWS)
    if not by_row or chainable_layers(t3, _MANY_ROWS, torch.bfloat16) is None or not calls.kernels.knows_silu_alone():
        return None
    return ChainedPrompt(t3, calls, attention_as_one, cut_between_tiles)


def cut_between_tiles(prompt: Prompt) -> Cuts:
    """Cut a prompt where torch's attention on a CPU begins another tile of queries.

    A tile is multiplied with all keys, but what its queries do not see adds nothing. How its sums are added up, and
    which exponentials are taken by themselves at the end of a row of scores, could go by the number of keys: in full
    tiles of 32 nothing was seen to do so. In those that are not full some numbers do; and so does one of 85,000 in the
    larger tiles of long prompts, which are not cut (Zen 3, MKL).
    """
    positions, blank = prompt.embeddings.size(1), 0 if prompt.blank is None else len(prompt.blank)
    if positions >= _POSITIONS_OF_LARGER_TILES or min(positions, prompt.voice_end) < _TILE:
        return Cuts(0)
    behind = min(positions, prompt.text_span[0] + blank) - _TILE
    return Cuts(_TILE, _TILE, behind // _TILE * _TILE)


def attention_as_one(begin: int, positions: int) -> Attend:
    """Return what lets positions attend as `attention_behind` does, with the bits of all being read as one.

    Those are torch's, but of a tile of queries that is not full and is the last in a longer prompt no more.
    """

    def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        queries = functional.pad(queries, (0, 0, begin, 0))
        found = functional.scaled_dot_product_attention(queries, keys, values, is_causal=True, scale=scale)
        return found[:, :, begin : begin + positions]

    return attend
