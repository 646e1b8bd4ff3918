"""Readers of prompts that do more or less than another, and cut where that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from stateless_tts.engine._passages import Cuts, Passage, Read
    from stateless_tts.speech_tokens import Prompt


class _Reader:
    """Reads as another does.

    Args:
        read: reads.
    """

    def __init__(self, read: Read) -> None:
        self._read = read

    def cut(self, prompt: Prompt) -> Cuts:
        return self._read.cut(prompt)

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        return self._read(passages)


class HalfWay(_Reader):
    """Fails when one layer of each passage has been read."""

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        super().__call__(passages)
        for one in passages:
            del one.layers[1:]
        raise MemoryError("there is no more")


class Counted(_Reader):
    """Remembers the rows and positions of each passage, pass by pass."""

    def __init__(self, read: Read) -> None:
        super().__init__(read)
        self.sizes: list[list[tuple[int, int]]] = []

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        self.sizes.append([(one.embeddings.size(0), one.embeddings.size(1)) for one in passages])
        return super().__call__(passages)
