"""Products of few rows that fetch weights from memory while they multiply those they have.

A step of T3 multiplies a few rows with 1 or 2 GB of weights. The libraries' products of so few rows get them at a third
to a half of the rate that memory has: they read a block, multiply it, and only then ask for the next one. These ask for
what comes 32 KB later with everything that they multiply, so that memory never waits for the arithmetic.

Weights lie in strips of some outputs, which torch's own threads share out. How a strip is multiplied depends on what
the CPU has: vector registers (`_vectors`), matrix registers (`_matrices`), or, in bfloat16 where torch has no oneDNN
for it, vector registers of float32 (`_torch_sums`). LLVM, which librosa brings by way of numba, translates it for the
CPU at hand. Every sum is made in one order, whatever rows there are beside it and however many threads there are, so
that a row's bits depend on that row alone. In bfloat16 the order can be oneDNN's, or torch's own, so that the bits are
stock's. What was gained is in `reports/published/bench/profile.md`.
"""

from ._matrices import Matrices
from ._product import StreamedProduct, streamed_product
from ._torch_sums import TorchSums

__all__ = ["Matrices", "StreamedProduct", "TorchSums", "streamed_product"]
