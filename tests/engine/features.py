"""What this CPU has, as LLVM names it, and what is left without AVX-512: kernels run on any CPU that has AVX2."""

from __future__ import annotations

from stateless_tts.engine.machine_code._translation import cpu_features

FEATURES = cpu_features()
WITHOUT_AVX512 = {name: on and not name.startswith("avx512") for name, on in FEATURES.items()}
KINDS = {"this CPU's vectors": FEATURES, "AVX2 alone": WITHOUT_AVX512}
