"""S3Gen's dense layers, attention and activations in kernels for the CPU at hand.

`matrix` has those of AMX, `vector` those of AVX2 and AVX-512; what is around their products is the same. LLVM
translates the kernels, written from Python (`machine_code`); torch's own threads run them.
"""

import torch

from ._numbers import SIDE, Ending
from ._units import Units, run
from .matrix import matrix_units
from .vector import vector_units

__all__ = ["SIDE", "Ending", "Units", "find_units", "run"]


def find_units(dtype: torch.dtype) -> Units | None:
    """Return the units of this CPU for `dtype`, AMX's before others; None where it has none that can be used."""
    return matrix_units(dtype) or (vector_units() if dtype is torch.float32 else None)
