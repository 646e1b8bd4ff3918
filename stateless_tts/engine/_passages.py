"""Positions of a prompt that are read together, and what they follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

Layers = list[tuple[torch.Tensor, torch.Tensor]]


@dataclass
class Passage:
    """Positions that are read together.

    Attributes:
        embeddings: of shape (rows, positions, width).
        past: keys and values of what they follow, piece by piece, the same for all rows; pieces that are read in the
            same pass may still be empty.
        begin: place of the first of them: how many positions of `past` they see.
        layers: once they are read, their keys and values for each layer, of shape (rows, heads, positions, head_dim).
    """

    embeddings: torch.Tensor
    past: tuple[Layers, ...] = ()
    begin: int = 0
    layers: Layers = field(default_factory=list)

    def seen(self, layer: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values in that layer of all that its last position sees, of shape (rows, heads, ...).

        They are those of `past`, and its own as far as it has been read.
        """
        rows, left, pieces = self.embeddings.size(0), self.begin, []
        for piece in self.past:
            keys, values = (one[:, :, :left].expand(rows, -1, -1, -1) for one in piece[layer])
            pieces.append((keys, values))
            left -= keys.size(2)
        pieces += self.layers[layer : layer + 1]
        all_keys, all_values = zip(*pieces, strict=True)
        return torch.cat(all_keys, dim=2), torch.cat(all_values, dim=2)


Read = Callable[[Sequence[Passage]], list[torch.Tensor]]
"""Reads passages, of which one may follow others before it, fills in their `layers`, and returns what the backbone says
of each one's last position, of shape (rows, 1, width)."""
