"""How prompts are read: each on its own, and what many of them begin with only once.

A prompt begins with what its voice alone decides, and no position sees a later one. The keys and values of the voice
are therefore read apart, once for all rows, and kept for the next prompt that begins with the same. Of its text the
unconditional row is told no more than the length, so a longer text begins as a shorter does: that is kept, too, in
blocks. All of it is computed in the same way whether or not it is kept, so a prompt's bits depend on the prompt alone.
Whether they are those of a prompt that is read in one go, as stock reads it, goes by who reads, and where he cuts.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from ._backbone import backbone_of
from ._kv_cache import KeyValueCache
from ._passages import Cuts, Passage, SeenByAll

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.speech_tokens import Prompt

    from ._passages import KeysAndValues, Read

    Kept = OrderedDict[bytes, list[KeysAndValues]]


class Beginnings:
    """Keys and values of what prompts begin with, piece by piece.

    What follows others goes before what they all begin with, and of either, what is unused for longest goes first.

    One thread asks.

    Args:
        most_bytes: of keys and values kept; what takes more is read for every prompt.
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
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


class ByTorch:
    """Reads by torch's operations, which take a pass for each passage.

    Args:
        t3: shared; not written to.
    """

    def __init__(self, t3: T3) -> None:
        self._t3 = t3

    def cut(self, prompt: Prompt) -> Cuts:
        """Cut where the voice ends."""
        return Cuts(prompt.voice_end)

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        return [self.all_of(passage)[:, -1:] for passage in passages]

    def all_of(self, passage: Passage) -> torch.Tensor:
        """Read a passage; returns what the backbone says of all positions, of shape (rows, positions, width)."""
        cache, layers = DynamicCache(config=self._t3.cfg), backbone_of(self._t3).layers
        if passage.begin:
            for layer in range(layers):
                cache.update(*passage.seen(layer), layer)
        found = self._t3.tfmr(inputs_embeds=passage.embeddings, past_key_values=cache, use_cache=True)
        read = cache.layers[:layers]  # it has as many as the configuration says
        passage.layers += [(one.keys[:, :, passage.begin :], one.values[:, :, passage.begin :]) for one in read]
        hidden: torch.Tensor = found.last_hidden_state
        return hidden


@torch.inference_mode()
def read_prompt(
    t3: T3, prompt: Prompt, beginnings: Beginnings | None = None, read: Read | None = None
) -> tuple[KeyValueCache, torch.Tensor]:
    """Read a prompt on its own; returns its cache and the logits of shape (rows, vocabulary).

    Args:
        t3: has the head.
        prompt: is read.
        beginnings: where its beginnings are kept; without them it is read in one go, as stock reads it.
        read: reads it otherwise, all passages in one pass; None takes torch's operations.
    """
    by_torch = ByTorch(t3)
    if beginnings is None:
        whole = Passage(prompt.embeddings)
        hidden = by_torch.all_of(whole)
        # As many positions go through the head as upstream's do: a product of another shape may round differently.
        logits = t3.speech_head(hidden[:, -1:] if t3.is_gpt else hidden)[:, -1, :].clone()
        return KeyValueCache(whole.layers), logits
    read = read or by_torch
    cuts = read.cut(prompt)
    voice, rest = prompt.embeddings.tensor_split([cuts.voice], dim=1)
    blocks = _unconditional(prompt, cuts)
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
    last = read([*unread, *strands])[-len(strands) :]
    beginnings.keep(found)
    logits = t3.speech_head(torch.cat(last))[:, -1, :].clone()
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


def _bytes_of(layers: Sequence[KeysAndValues]) -> int:
    return sum(keys.nbytes + values.nbytes for keys, values in layers)
