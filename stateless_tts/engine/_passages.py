"""Positions of a prompt that are read together, and what they follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

KeysAndValues = tuple[torch.Tensor, torch.Tensor]


@dataclass(eq=False)
class Passage:
    """Positions that are read together.

    Attributes:
        embeddings: of shape (rows, positions, width).
        past: keys and values for each layer of what they follow, piece by piece, the same for all rows; pieces that are
            read in the same pass may still be empty.
        begin: place of the first of them: how many positions of `past` they see.
        layers: once they are read, their keys and values for each layer, of shape (rows, heads, positions, head_dim).
    """

    embeddings: torch.Tensor
    past: tuple[list[KeysAndValues], ...] = ()
    begin: int = 0
    layers: list[KeysAndValues] = field(default_factory=list)

    def seen(self, layer: int) -> KeysAndValues:
        """Return keys and values in that layer of all that its last position sees, of shape (rows, heads, ...).

        They are those of `past`, and its own as far as it has been read.
        """
        rows, left, pieces = self.embeddings.size(0), self.begin, []
        for piece in self.past:
            keys, values = (one[:, :, :left].expand(rows, -1, -1, -1) for one in piece[layer])
            pieces.append((keys, values))
            left -= keys.size(2)
        assert not left, f"{left} positions of the past are missing"
        pieces += self.layers[layer : layer + 1]
        all_keys, all_values = zip(*pieces, strict=True)
        return torch.cat(all_keys, dim=2), torch.cat(all_values, dim=2)


Read = Callable[[Sequence[Passage]], list[torch.Tensor]]
"""Reads passages, of which one may follow others before it, fills in their `layers`, and returns what the backbone says
of each one's last position, of shape (rows, 1, width)."""


class SeenByAll:
    """What passages that have been read see, row after row, for each layer; put together when it is asked for."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages

    def __len__(self) -> int:
        return len(self._passages[0].layers)

    def __getitem__(self, layer: int) -> KeysAndValues:
        keys, values = zip(*(passage.seen(layer) for passage in self._passages), strict=True)
        return torch.cat(keys), torch.cat(values)
