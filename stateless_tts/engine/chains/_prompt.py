"""Prompts, read in chains of kernels but for their attention, which is torch's.

They are float32, or, with other kernels, bfloat16 (`bfloat16`).

Torch's operations between the products of a prompt take up to a third of its time. In float32 the result is close to
that of torch's operations, not equal to it. It depends on the prompt alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine._passages import Cuts
from stateless_tts.engine.machine_code._chain import Chain

from ._layers import round_attention

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.engine._passages import Passage
    from stateless_tts.speech_tokens import Prompt

    from ._layer_calls import LayerCalls
    from .bfloat16._layer_calls import TorchLayerCalls

    Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], torch.Tensor]

# Of a text that says nothing. The last block is read whole, although the text may end before: of larger blocks, more is
# read for nobody.
_BLOCK = 16
# What a long text has beyond is read with it: what is kept has its bound, and blocks cost more the more they follow.
_MOST_BLANK = 256
# Torch attends to fewer by MKL, on some CPUs in ways that go by threads and by where memory lies (seen on a Zen 3, of
# up to three). More it takes in tiles, of which the last may be of one; of those, none was seen to differ.
_LEAST_QUERIES = 8
_OF_ATTENTION = ("queries", "keys", "values", "attended")


def cut_behind_voice(prompt: Prompt) -> Cuts:
    """Cut a prompt where its voice ends, and what follows into short blocks."""
    return Cuts(prompt.voice_end, _BLOCK, _MOST_BLANK)


def attention_behind(begin: int, positions: int) -> Attend:
    """Return what lets so many positions attend, each to itself and all before it, and so many `begin` before them all.

    It takes their queries, of shape (rows, heads, positions, head_dim), keys and values of all, and a scale.
    """
    padding = (0, 0, 0, max(0, _LEAST_QUERIES - positions))
    seen = torch.ones((positions, begin + positions), dtype=torch.bool).tril(begin)
    seen = functional.pad(seen, padding, value=True)

    def attend(queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, scale: float) -> torch.Tensor:
        if any(padding):
            queries = functional.pad(queries, padding)
        found = functional.scaled_dot_product_attention(queries, keys, values, seen, scale=scale)
        return found[:, :, :positions]

    return attend


class ChainedPrompt:
    """Reads positions of a prompt, the first or those that come behind others.

    Args:
        t3: shared; not written to.
        calls: for its layers, as a step has them.
        attention: as `attention_behind` is.
        cut: where prompts may be cut, as `cut_behind_voice` says, if they attend so.
    """

    def __init__(
        self,
        t3: T3,
        calls: LayerCalls | TorchLayerCalls,
        attention: Callable[[int, int], Attend] = attention_behind,
        cut: Callable[[Prompt], Cuts] = cut_behind_voice,
    ) -> None:
        self._t3, self._calls, self._attention, self._cut = t3, calls, attention, cut
        chain, self._ends = round_attention(t3.tfmr.layers, calls.before, calls.behind, calls.last(t3.tfmr.norm))
        self._chain = Chain(chain, [*t3.tfmr.parameters(), *calls.kept])

    def over(self, t3: T3) -> ChainedPrompt:
        """Return the same for another T3 with such layers."""
        return ChainedPrompt(t3, self._calls, self._attention, self._cut)

    def cut(self, prompt: Prompt) -> Cuts:
        """Say where a prompt is to be cut."""
        return self._cut(prompt)

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        """Read passages in one pass; each has bits of its own, whoever is read beside it.

        Args:
            passages: embeddings are of the layers' dtype; one may follow others before it; `layers` are filled in.

        Returns:
            What the backbone says of each one's last position, of shape (rows, 1, width).

        Raises:
            ValueError: embeddings are of another dtype, not on the CPU, or of another width.
        """
        hidden, angles = self._given(passages)
        threads = torch.get_num_threads()
        rooms, told = self._calls.rooms(hidden, angles, threads)
        chain = self._chain.ready(threads, **told)
        parts: list[_Part] = []
        last: list[int] = []
        first = 0
        for passage in passages:
            rows, positions, _ = passage.embeddings.shape
            behind = first + rows * positions
            of_passage = {name: self._heads(rooms[name][first:behind], rows) for name in _OF_ATTENTION}
            parts.append(_Part(passage, of_passage, self._attention(passage.begin, positions)))
            last += range(first + positions - 1, behind, positions)
            first = behind
        done = 0
        for layer, end in zip(self._t3.tfmr.layers, self._ends, strict=False):
            chain.run(done, end)
            for part in parts:
                part.attend(layer.self_attn.scaling)
            done = end
        # Behind the last attention, the last position of each row is all that anybody asks for.
        of_last, told = self._calls.rooms(hidden[last], [one[last] for one in angles], threads)
        of_last["attended"][: len(last)] = rooms["attended"][last]
        self._chain.ready(threads, **told).run(done, self._ends[-1])
        normed = of_last["normed"][: len(last), None]
        return list(torch.split(normed, [passage.embeddings.size(0) for passage in passages]))

    def _given(self, passages: Sequence[Passage]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return a copy of all embeddings, of shape (positions, width), and cosines and sines of where they stand."""
        hidden = torch.cat([one.embeddings.flatten(0, 1) for one in passages])
        angles: list[torch.Tensor] = []
        for one in passages:  # each by itself, whatever is read beside it
            rows, positions, _ = one.embeddings.shape
            places = torch.arange(one.begin, one.begin + positions, device=hidden.device)[None]
            angles.append(torch.cat(self._t3.tfmr.rotary_emb(one.embeddings, places)).repeat(1, rows, 1))
        return hidden, list(torch.cat(angles, dim=1))

    def _heads(self, numbers: torch.Tensor, rows: int) -> torch.Tensor:
        """Return a view of shape (rows, heads, positions, head_dim)."""
        layers = self._calls.layers
        return numbers.view(rows, -1, layers.heads, layers.head_dim).transpose(1, 2)


class _Part:
    """A passage's part in a pass: it attends in one layer after the other.

    Args:
        passage: is read.
        rooms: where the chain leaves its queries, keys and values, and looks for what it `attended` to.
        attend: lets it.
    """

    def __init__(self, passage: Passage, rooms: Mapping[str, torch.Tensor], attend: Attend) -> None:
        self._passage, self._rooms, self._attend = passage, rooms, attend

    def attend(self, scale: float) -> None:
        """Attend to what is seen in the layer that the chain has come to."""
        layers = self._passage.layers
        layers.append((self._rooms["keys"].clone(), self._rooms["values"].clone()))
        keys, values = self._passage.seen(len(layers) - 1)
        self._rooms["attended"].copy_(self._attend(self._rooms["queries"], keys, values, scale))
