"""What this build of torch and this CPU have of oneDNN."""

from __future__ import annotations

import torch


def has_onednn() -> bool:
    """Whether torch has it."""
    return bool(torch.backends.mkldnn.is_available())  # type: ignore[no-untyped-call] # torch leaves it untyped


def has_onednn_bfloat16() -> bool:
    """Whether torch has its bfloat16 products on this CPU, as with AVX-512: there need not be instructions for them."""
    return has_onednn() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())  # noqa: SLF001 - it has no public name
