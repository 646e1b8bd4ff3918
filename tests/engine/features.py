"""What this CPU has, as LLVM names it, and what is left without AVX-512: kernels run on any CPU that has AVX2."""

from __future__ import annotations

import torch

from stateless_tts.engine.machine_code._translation import cpu_features
from stateless_tts.engine.streamed import TorchSums, streamed_product

FEATURES = cpu_features()
WITHOUT_AVX512 = {name: on and not name.startswith("avx512") for name, on in FEATURES.items()}
KINDS = {"this CPU's vectors": FEATURES, "AVX2 alone": WITHOUT_AVX512}

_product = streamed_product(torch.bfloat16)
IN_TORCHS_SUMS = _product is not None and isinstance(_product.arithmetic, TorchSums)
"""Whether bfloat16 is multiplied in torch's own sums: where torch has no oneDNN for it."""
