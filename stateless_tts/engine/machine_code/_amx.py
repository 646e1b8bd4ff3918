"""The CPU's registers for matrices, AMX, as assembly sees them: eight, each of 16 rows of 64 bytes."""

from __future__ import annotations

import torch

ROWS = 16
ROW_BYTES = 64
REGISTER_BYTES = ROWS * ROW_BYTES

_CONFIGURATION = [1, 0, *[0] * 14, *[ROW_BYTES, 0] * 8, *[0] * 16, *[ROWS] * 8, *[0] * 8]
DECLARATIONS = f"""
declare void @llvm.x86.ldtilecfg(ptr)
declare void @llvm.x86.tilerelease()
declare void @llvm.x86.tilezero(i8)
declare void @llvm.x86.tileloadd64(i8, ptr, i64)
declare void @llvm.x86.tilestored64(i8, ptr, i64)
declare void @llvm.x86.tdpbf16ps(i8, i8, i8)
@configuration = private constant [64 x i8] [{", ".join(f"i8 {byte}" for byte in _CONFIGURATION)}], align 64
"""
"""What loads, multiplies and stores, for bfloat16."""

BEGIN = "call void @llvm.x86.ldtilecfg(ptr @configuration)"
"""Makes the registers ready; every thread has to."""

END = "call void @llvm.x86.tilerelease()"
"""Gives them back."""


def has_amx(features: dict[str, bool]) -> bool:
    """Whether a CPU with these features, as LLVM names them, has the registers, and this process leave to use them.

    It is the kernel's leave, which torch asks for.
    """
    return bool(features.get("amx-bf16")) and bool(torch.cpu._init_amx())  # noqa: SLF001 - it has no public name
