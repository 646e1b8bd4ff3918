"""A reader of prompts that does something else than another, and cuts where that does."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import torch

    from stateless_tts.engine._passages import Cuts, Passage, Read
    from stateless_tts.speech_tokens import Prompt


class Instead:
    """Reads by `call`.

    Args:
        read: cuts.
        call: is given passages.
    """

    def __init__(self, read: Read, call: Callable[[Sequence[Passage]], list[torch.Tensor]]) -> None:
        self._read, self._call = read, call

    def cut(self, prompt: Prompt) -> Cuts:
        return self._read.cut(prompt)

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        return self._call(passages)


class Counted(Instead):
    """Reads as another does, and remembers the rows and positions of each passage, pass by pass.

    Args:
        read: reads.
    """

    def __init__(self, read: Read) -> None:
        super().__init__(read, read)
        self.sizes: list[list[tuple[int, int]]] = []

    def __call__(self, passages: Sequence[Passage]) -> list[torch.Tensor]:
        self.sizes.append([(one.embeddings.size(0), one.embeddings.size(1)) for one in passages])
        return super().__call__(passages)
