"""Positions of a prompt that are read together, what they follow, and who reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stateless_tts.speech_tokens import Prompt

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


@dataclass(frozen=True)
class Cuts:
    """Where a prompt is cut.

    Attributes:
        voice: one past the last position that is read for all prompts of a voice; 0 reads all of it for this one.
        block: positions of a piece of the unconditional row behind it.
        most: such positions, a multiple of `block`.
    """

    voice: int
    block: int = 1
    most: int = 0


class Read(Protocol):
    """Reads prompts piece by piece, and knows where it can cut them."""

    def cut(self, prompt: Prompt) -> Cuts:
        """Say where a prompt is to be cut."""
        ...

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        """Read passages, of which one may follow others before it, and fill in their `layers`.

        Returns:
            What the backbone says of each one's last position, of shape (rows, 1, width).
        """
        ...


class SeenByAll:
    """What passages that have been read see, row after row, for each layer; put together when it is asked for."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self._passages = passages

    def __len__(self) -> int:
        return len(self._passages[0].layers)

    def __getitem__(self, layer: int) -> KeysAndValues:
        keys, values = zip(*(passage.seen(layer) for passage in self._passages), strict=True)
        return torch.cat(keys), torch.cat(values)
