"""Units of AMX's registers.

AMX multiplies bfloat16 six to ten times as fast as vector registers multiply float32. What is in bfloat16 uses it by
way of torch, whose attention spends most of its time elsewhere; float32 does not use it at all. Here both do: float32
numbers as sums of two bfloat16, three products for one (`_panels`).
"""

from ._units import MatrixUnits, matrix_units

__all__ = ["MatrixUnits", "matrix_units"]
