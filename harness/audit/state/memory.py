"""Which addresses tensors and arrays occupy, and whose memory an address lies in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

try:  # upstream pins numpy below 2, but whoever audits a model of their own may have a newer one
    from numpy.lib.array_utils import byte_bounds  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    from numpy import byte_bounds

if TYPE_CHECKING:
    from harness.audit.state.paths import Path


def memory_of(value: object) -> tuple[int, int] | None:
    """The address range a tensor's storage or an array occupies, or None if it has no memory of its own."""
    try:
        if isinstance(value, torch.Tensor):
            storage = value.untyped_storage()
            return (storage.data_ptr(), storage.data_ptr() + storage.nbytes()) if storage.nbytes() else None
        if isinstance(value, np.ndarray):
            low, high = byte_bounds(value)
            return (int(low), int(high)) if high > low else None
    except (RuntimeError, NotImplementedError, ValueError):
        return None  # a meta, sparse, fake or not yet initialised tensor owns no memory
    return None


def window_of(value: torch.Tensor | np.ndarray[Any, Any]) -> tuple[int, int]:
    """The addresses between the first and the last element of a tensor or an array."""
    if isinstance(value, np.ndarray):
        low, high = byte_bounds(value)
        return int(low), int(high)
    last = sum((size - 1) * stride for size, stride in zip(value.shape, value.stride(), strict=True))
    return value.data_ptr(), value.data_ptr() + (last + 1) * value.element_size()


@dataclass
class Memory:
    """The memory that some shared tensors or arrays lie in.

    Attributes:
        high: its end.
        windows: for each of them the addresses it spans, and its path.
    """

    high: int
    windows: list[tuple[int, int, Path]]

    def path_at(self, address: int) -> Path:
        """The path of the narrowest one there, or of the first one if the address lies between them."""
        around = [window for window in self.windows if window[0] <= address < window[1]]
        return min(around, key=lambda window: window[1] - window[0], default=self.windows[0])[2]
