"""The flow's conditional and unconditional row, each on its own half of the cores.

S3Gen's solver gives its estimator two rows that do not see each other. Computed as one batch, every small operation
is shared out among all cores and waits for the slowest; computed as two, each on half the cores, hardly anything
waits. Each row's bits are those of a batch of one on that many cores, whoever else is busy.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import nn

from ._own_cores import use_cores

if TYPE_CHECKING:
    from typing import Any

HALVES = 2


def half_the_cores(threads: int, renderings: int = 1) -> ThreadPoolExecutor | None:
    """Return two threads, for each of so many renderings at a time, that have half of `threads` cores each.

    Returns None for one core, which has no halves.
    """
    if threads < HALVES:
        return None
    return ThreadPoolExecutor(
        HALVES * renderings, "stateless-tts-half", initializer=use_cores, initargs=(threads // HALVES,)
    )


class RowByRow(nn.Module):
    """An estimator that is given its rows one by one, two at the same time if there are cores for two.

    A single row, as of a flow without guidance, has all the cores of the caller.

    Args:
        estimator: S3Gen's, or a view of it.
        executor: of `half_the_cores`.
    """

    def __init__(self, estimator: nn.Module, executor: ThreadPoolExecutor | None) -> None:
        super().__init__()
        self.estimator = estimator
        self._executor = executor

    @property
    def dtype(self) -> torch.dtype:
        """Of the estimator's weights, as upstream's solver asks for it."""
        dtype = self.estimator.dtype
        assert isinstance(dtype, torch.dtype)
        return dtype

    def forward(self, x: torch.Tensor, **others: torch.Tensor | None) -> torch.Tensor:
        """Map what upstream's solver passes, each of shape (rows, ...), to what its estimator returns."""
        rows = [
            {name: None if tensor is None else tensor[row : row + 1] for name, tensor in {"x": x, **others}.items()}
            for row in range(x.size(0))
        ]
        if self._executor is None or len(rows) == 1:
            return torch.cat([self._one(row) for row in rows])
        return torch.cat(list(self._executor.map(self._one, rows)))

    @torch.inference_mode()
    def _one(self, row: dict[str, Any]) -> torch.Tensor:
        result: torch.Tensor = self.estimator(**row)
        return result
