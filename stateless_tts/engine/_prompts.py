"""How prompts are read: each on its own, and what many of them begin with only once.

A prompt begins with what its voice alone decides, and no position sees a later one. The keys and values of the voice
are therefore read apart, once for all rows, and kept for the next prompt that begins with the same. Of its text the
unconditional row is told no more than the length, so a longer text begins as a shorter does: that is kept, too, in
blocks. All of it is computed in the same way whether or not it is kept, so a prompt's bits depend on the prompt alone.
They are not those of a prompt that is read in one go, as stock reads it. Where the engine has promised stock's bits, a
prompt may be cut between tiles of torch's attention alone, and by none but a reader that attends as torch does.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ._backbone import backbone_of
from ._kv_cache import KeyValueCache
from ._passages import Passage, SeenByAll

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.speech_tokens import Prompt

    from ._passages import KeysAndValues, Read

    Cut = Callable[[Prompt], "Cuts"]
    Kept = OrderedDict[bytes, list[KeysAndValues]]

# Of a text that says nothing. The last block is read whole, although the text may end before: of larger blocks, more is
# read for nobody.
_BLOCK = 16
# Queries that torch's attention on a CPU takes at a time, if there are fewer of them than so many
# (aten/native/cpu/FlashAttentionKernel.cpp).
_TILE = 32
_POSITIONS_OF_LARGER_TILES = 192
# What a long text has beyond is read with it: what is kept has its bound, and blocks cost more the more they follow.
_MOST_BLANK = 256


@dataclass(frozen=True)
class Cuts:
    """Where a prompt is cut.

    Attributes:
        voice: one past the last position that is read for all prompts of a voice; 0 reads all of it for this one.
        block: positions of a piece of the unconditional row behind it.
        most: such positions, a multiple of `block`.
    """

    voice: int
    block: int
    most: int


def behind_voice(prompt: Prompt) -> Cuts:
    """Cut a prompt where its voice ends, and what follows into short blocks."""
    return Cuts(prompt.voice_end, _BLOCK, _MOST_BLANK)


def between_tiles(prompt: Prompt) -> Cuts:
    """Cut a prompt where torch's attention on a CPU begins another tile of queries.

    A full tile of causal attention has the same shape in every longer prompt; what it sees in a last tile that is not
    full goes by the prompt's length. Long prompts are not cut: in their tiles, which are larger, one of 85,000 numbers
    went by the length all the same (Zen 3, MKL).
    """
    positions, blank = prompt.embeddings.size(1), 0 if prompt.blank is None else len(prompt.blank)
    if positions >= _POSITIONS_OF_LARGER_TILES or min(positions, prompt.voice_end) < _TILE:
        return Cuts(0, _TILE, 0)
    behind = min(positions, prompt.text_span[0] + blank) - _TILE
    return Cuts(_TILE, _TILE, behind // _TILE * _TILE)


class Beginnings:
    """Keys and values of what prompts begin with, piece by piece.

    What follows others goes before what they all begin with, and of either, what is unused for longest goes first.

    One thread asks.

    Args:
        most_bytes: of keys and values kept; what takes more is read for every prompt.
        cut: says where a prompt is cut.

    Attributes:
        cut: the same.
    """

    def __init__(self, most_bytes: int, cut: Cut = behind_voice) -> None:
        self._most_bytes = most_bytes
        self.cut = cut
        self._first: Kept = OrderedDict()
        self._following: Kept = OrderedDict()

    @property
    def nbytes(self) -> int:
        """Memory of what is kept, in bytes."""
        return sum(map(_bytes_of, [*self._first.values(), *self._following.values()]))

    def find(self, pieces: Sequence[torch.Tensor]) -> list[tuple[bytes, Passage]]:
        """Return each piece as a passage, which has its `layers` if they are kept, beside what it is kept by.

        Args:
            pieces: embeddings of shape (1, positions, width), each of which follows those before it.
        """
        found: list[tuple[bytes, Passage]] = []
        so_far, begin = hashlib.sha256(), 0
        for piece in pieces:
            so_far.update(piece.size(1).to_bytes(8, "little"))
            so_far.update(piece.contiguous().view(torch.uint8).cpu().numpy().data)
            key, past = so_far.digest(), tuple(passage.layers for _, passage in found)
            found.append((key, Passage(piece, past, begin, self._shelf(begin).get(key, []))))
            begin += piece.size(1)
        return found

    def keep(self, found: Sequence[tuple[bytes, Passage]]) -> None:
        """Keep what was found, or has been read since."""
        for key, passage in reversed(found):  # what others follow is used as often as all of them
            shelf = self._shelf(passage.begin)
            shelf[key] = passage.layers
            shelf.move_to_end(key)
        while self.nbytes > self._most_bytes:
            (self._following or self._first).popitem(last=False)

    def _shelf(self, begin: int) -> Kept:
        return self._following if begin else self._first


@torch.inference_mode()
def read_prompt(
    t3: T3, prompt: Prompt, beginnings: Beginnings | None = None, read: Read | None = None
) -> tuple[KeyValueCache, torch.Tensor]:
    """Read a prompt on its own; returns its cache and the logits of shape (rows, vocabulary).

    Args:
        t3: reads.
        prompt: is read.
        beginnings: where its beginnings are kept; without them it is read in one go, as stock reads it.
        read: reads with kernels of the engine's own, all passages in one pass; None reads with torch's operations,
            which take a pass for each.
    """
    if beginnings is None:
        whole = Passage(prompt.embeddings)
        (hidden,) = _by_torch(t3, [whole])
        # As many positions go through the head as upstream's do: a product of another shape may round differently.
        logits = t3.speech_head(hidden[:, -1:] if t3.is_gpt else hidden)[:, -1, :].clone()
        return KeyValueCache(whole.layers), logits
    cuts = beginnings.cut(prompt)
    voice, rest = prompt.embeddings.tensor_split([cuts.voice], dim=1)
    blocks = [] if read is None else _unconditional(prompt, cuts)
    found = beginnings.find([voice[:1], *blocks] if cuts.voice else [])
    pieces = [passage for _, passage in found]
    begun = tuple(passage.layers for passage in pieces)
    strands = [Passage(rest, begun, cuts.voice)]
    if blocks:
        end = min(prompt.text_span[1], cuts.voice + sum(block.size(1) for block in blocks))
        strands = [
            Passage(rest[:1], begun[:1], cuts.voice),
            Passage(prompt.embeddings[1:, end:], begun, end),
        ]
    unread = [passage for passage in pieces if not passage.layers]
    last = (read or partial(_by_torch, t3))([*unread, *strands])[-len(strands) :]
    beginnings.keep(found)
    logits = t3.speech_head(torch.cat([one[:, -1:] for one in last]))[:, -1, :].clone()
    return KeyValueCache(SeenByAll(strands)), logits


def _unconditional(prompt: Prompt, cuts: Cuts) -> list[torch.Tensor]:
    """Return blocks that all of the unconditional row's text lies in, or its beginning, with what is before it.

    They are none where that row's text is not blank. They go by voice, exaggeration and the number of blocks alone.
    """
    if prompt.blank is None or not cuts.most:
        return []
    begin, end = prompt.text_span
    before = prompt.embeddings[1:, cuts.voice : begin]
    positions = min(-(-(end - cuts.voice) // cuts.block) * cuts.block, cuts.most)
    whole = torch.cat([before, prompt.blank[None, :positions]], dim=1)[:, :positions]
    return list(torch.split(whole, cuts.block, dim=1))


def _by_torch(t3: T3, passages: Sequence[Passage]) -> list[torch.Tensor]:
    """Return what the backbone says of all of each passage's positions."""
    hidden = []
    for passage in passages:
        cache = DynamicCache(config=t3.cfg)
        if passage.begin:
            for layer in range(backbone_of(t3).layers):
                cache.update(*passage.seen(layer), layer)
        found = t3.tfmr(inputs_embeds=passage.embeddings, past_key_values=cache, use_cache=True)
        read = cache.layers[: backbone_of(t3).layers]
        passage.layers += [(one.keys[:, :, passage.begin :], one.values[:, :, passage.begin :]) for one in read]
        hidden.append(found.last_hidden_state)
    return hidden


def _bytes_of(layers: Sequence[KeysAndValues]) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
