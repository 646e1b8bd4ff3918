"""S3Gen's dense layers, attention and activations in the CPU's units for matrices, AMX.

AMX multiplies bfloat16 six to ten times as fast as vector registers multiply float32. What is in bfloat16 uses it by
way of torch, whose attention spends most of its time elsewhere; float32 does not use it at all. Here both do: float32
numbers as sums of two bfloat16, three products for one (`_panels`). LLVM translates the kernels, written from Python
(`machine_code`), for the CPU at hand; torch's own threads run them.
"""

from ._dense import Ending
from ._panels import SIDE
from ._units import MatrixUnits, matrix_units, run

__all__ = ["SIDE", "Ending", "MatrixUnits", "matrix_units", "run"]
