"""Prompts in float32, read in chains of kernels but for their attention, which is torch's.

Torch's operations between the products of a prompt take up to a third of its time. The result is close to that of
torch's operations, not equal to it, and depends on the prompt alone.
"""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine.machine_code._chain import Chain

from ._layers import round_attention

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from chatterbox.models.t3 import T3

    from stateless_tts.engine._passages import Passage

    from ._layer_calls import LayerCalls

# Torch attends to fewer by MKL, on some CPUs in ways that go by threads and by where memory lies (seen on a Zen 3, of
# up to three). More it takes in tiles, of which the last may be of one; of those, none was seen to differ.
_LEAST_QUERIES = 8


class ChainedPrompt:
    """Reads positions of a prompt, the first or those that come behind others.

    Args:
        t3: shared; not written to.
        calls: for its layers, as a step has them.
    """

    def __init__(self, t3: T3, calls: LayerCalls) -> None:
        self._t3, self._calls = t3, calls
        chain, self._ends = round_attention(t3.tfmr.layers, calls.before, calls.behind, calls.last(t3.tfmr.norm))
        self._chain = Chain(chain, list(t3.tfmr.parameters()))

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        """Read passages in one pass; each has bits of its own, whoever is read beside it.

        Args:
            passages: embeddings are float32; one may follow others before it. Their `layers` are filled in.

        Returns:
            What the backbone says of each one's last position, of shape (rows, 1, width).

        Raises:
            ValueError: embeddings are not float32 on the CPU, or of another width.
        """
        hidden, angles = self._given(passages)
        threads = torch.get_num_threads()
        rooms, told = self._calls.rooms(hidden, angles, threads)
        chain = self._chain.ready(threads, **told)
        ends = list(accumulate(one.embeddings.size(0) * one.embeddings.size(1) for one in passages))
        places = list(zip(passages, [0, *ends], ends, strict=False))
        done = 0
        for layer, end in zip(self._t3.tfmr.layers, self._ends, strict=False):
            chain.run(done, end)
            for passage, first, behind in places:
                mine = {name: rooms[name][first:behind] for name in ("queries", "keys", "values", "attended")}
                self._attend(passage, mine, layer.self_attn.scaling)
            done = end
        # Behind the last attention, the last position of each is all that anybody asks for.
        last = torch.cat([
            torch.arange(first, behind).view(passage.embeddings.size(0), -1)[:, -1] for passage, first, behind in places
        ])  # fmt: skip
        of_last, told = self._calls.rooms(hidden[last], [one[last] for one in angles], threads)
        of_last["attended"].copy_(rooms["attended"][last])
        self._chain.ready(threads, **told).run(done, self._ends[-1])
        return list(torch.split(of_last["normed"][:, None], [passage.embeddings.size(0) for passage in passages]))

    def _given(self, passages: Sequence[Passage]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return a copy of all embeddings, of shape (positions, width), and cosines and sines of where they stand."""
        hidden = torch.cat([one.embeddings.flatten(0, 1) for one in passages])
        angles: list[torch.Tensor] = []
        for one in passages:  # each by itself, whatever is read beside it
            rows, positions, _ = one.embeddings.shape
            places = torch.arange(one.begin, one.begin + positions, device=hidden.device)[None]
            angles.append(torch.cat(self._t3.tfmr.rotary_emb(one.embeddings, places)).repeat(1, rows, 1))
        return hidden, list(torch.cat(angles, dim=1))

    def _attend(self, passage: Passage, rooms: Mapping[str, torch.Tensor], scale: float) -> None:
        """Let a passage attend to what it sees in the layer that it has been read to, and leave that in `attended`."""
        rows, positions, _ = passage.embeddings.shape
        heads = (rows, positions, self._calls.layers.heads, self._calls.layers.head_dim)
        queries, keys, values = (rooms[name].view(heads).transpose(1, 2) for name in ("queries", "keys", "values"))
        passage.layers.append((keys.clone(), values.clone()))
        keys, values = passage.seen(len(passage.layers) - 1)
        seen = queries.new_ones((positions, keys.size(2)), dtype=torch.bool).tril(passage.begin)
        short = max(0, _LEAST_QUERIES - positions)
        if short:
            queries, seen = (
                functional.pad(queries, (0, 0, 0, short)),
                functional.pad(seen, (0, 0, 0, short), value=True),
            )
        found = functional.scaled_dot_product_attention(queries, keys, values, seen, scale=scale)
        rooms["attended"].view(rows, positions, -1).copy_(found[:, :, :positions].transpose(1, 2).flatten(2))
