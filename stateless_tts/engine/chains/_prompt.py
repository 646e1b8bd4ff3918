"""Prompts in float32, read in chains of kernels but for their attention, which is torch's.

Torch's operations between the products of a prompt take up to a third of its time. The result is close to that of
torch's operations, not equal to it, and depends on the prompt alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine.machine_code._chain import Chain

from ._layers import round_attention

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.models.t3 import T3

    from ._layer_calls import LayerCalls

    KeysAndValues = tuple[torch.Tensor, torch.Tensor]


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

    def __call__(
        self, embeddings: torch.Tensor, past: Sequence[KeysAndValues]
    ) -> tuple[list[KeysAndValues], torch.Tensor]:
        """Read positions.

        Args:
            embeddings: float32 of shape (rows, positions, width).
            past: keys and values before them, for each layer, each of shape (rows, heads, tokens, head_dim); empty if
                there are none.

        Returns:
            Keys and values, for each layer, of all tokens; and what the backbone says of the last position, of shape
            (rows, 1, width).

        Raises:
            ValueError: embeddings are not float32 on the CPU, or of another width.
        """
        rows, positions, width = embeddings.shape
        begin = past[0][0].size(2) if past else 0
        places = torch.arange(begin, begin + positions, device=embeddings.device)
        angles = [one.expand(rows, -1, -1).contiguous() for one in self._t3.tfmr.rotary_emb(embeddings, places[None])]
        hidden = embeddings.reshape(rows * positions, width).clone()  # which is written to
        threads = torch.get_num_threads()
        rooms, told = self._calls.rooms(hidden, [one.flatten(0, 1) for one in angles], threads)
        chain = self._chain.ready(threads, **told)
        seen = embeddings.new_ones((positions, begin + positions), dtype=torch.bool).tril(begin)
        layers: list[KeysAndValues] = []
        attended, done = rooms["attended"].view(rows, positions, -1), 0
        for index, (layer, end) in enumerate(zip(self._t3.tfmr.layers, self._ends, strict=False)):
            chain.run(done, end)
            queries, *new = (self._heads(rooms[name], rows, positions) for name in ("queries", "keys", "values"))
            old = past[index] if past else [one[:, :, :0] for one in new]
            keys, values = (torch.cat(both, dim=2) for both in zip(old, new, strict=True))
            scale = layer.self_attn.scaling
            found = functional.scaled_dot_product_attention(queries, keys, values, seen, scale=scale)
            attended.copy_(found.transpose(1, 2).flatten(2))
            layers.append((keys, values))
            done = end
        # Behind the last attention, the last position is all that anybody asks for.
        last = hidden.view(rows, positions, width)[:, -1].clone()
        of_last, told = self._calls.rooms(last, [one[:, -1].contiguous() for one in angles], threads)
        of_last["attended"].copy_(attended[:, -1])
        self._chain.ready(threads, **told).run(done, self._ends[-1])
        return layers, of_last["normed"].view(rows, 1, width)

    def _heads(self, numbers: torch.Tensor, rows: int, positions: int) -> torch.Tensor:
        """Return a view of shape (rows, heads, positions, head_dim)."""
        layers = self._calls.layers
        return numbers[: rows * positions].view(rows, positions, layers.heads, layers.head_dim).transpose(1, 2)
