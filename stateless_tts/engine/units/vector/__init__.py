"""Units of AVX2's or AVX-512's registers."""

from ._units import VectorUnits, vector_units

__all__ = ["VectorUnits", "vector_units"]
