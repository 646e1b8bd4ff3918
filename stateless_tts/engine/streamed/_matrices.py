"""A strip multiplied in the matrix registers of AMX, in bfloat16.

A register holds 16 rows of 32 numbers, or 16 outputs' weights for 32 numbers, or 16 times 16 sums. Up to 32 rows are
multiplied with a strip of 32 outputs at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stateless_tts.engine.machine_code._amx import BEGIN, DECLARATIONS, END, REGISTER_BYTES, ROW_BYTES, ROWS, has_amx
from stateless_tts.engine.machine_code._function import FETCH

from ._arithmetic import FETCH_AHEAD_BYTES, LINE_BYTES, block, fetches, fields, filled_up

_NUMBERS = 32  # bfloat16 in a row of a register
_OUTPUTS = 2 * ROWS
# A block is what a strip has for 32 numbers: two registers of weights.
_BLOCK_BYTES = 2 * REGISTER_BYTES
# Of the eight registers: sums by row half and output half, rows by half, weights by half.
_SUMS = ((0, 1), (2, 3))
_ROWS = (4, 5)
_WEIGHTS = (6, 7)


@dataclass(frozen=True)
class Matrices:
    """Arithmetic in the registers of AMX."""

    dtype: torch.dtype = torch.bfloat16
    outputs: int = _OUTPUTS
    fills_up: bool = False
    unit: int = _NUMBERS
    sums_of: tuple[int, ...] = (0,)

    @staticmethod
    def of(features: dict[str, bool], dtype: torch.dtype) -> Matrices | None:
        """Return the arithmetic for a CPU with these features, as LLVM names them, or None if it has none."""
        return Matrices() if dtype is torch.bfloat16 and has_amx(features) else None

    def depth_of(self, packed: torch.Tensor) -> int | None:
        blocks = packed.shape[2:] == (2, ROWS, ROWS, 2)
        return packed.size(1) * _NUMBERS if blocks else None

    def in_strips(self, weight: torch.Tensor) -> torch.Tensor:
        """A strip's blocks follow each other; in a register's row lie 16 outputs' weights for one pair of numbers."""
        pairs = weight.view(-1, 2, ROWS, weight.size(1) // _NUMBERS, ROWS, 2)
        return pairs.permute(0, 3, 1, 4, 2, 5)

    def groups_of(self, rows: int) -> tuple[int, int]:
        return -(-rows // ROWS), ROWS

    def arranged(self, rows: torch.Tensor) -> torch.Tensor:
        """Fill the last register up with rows of zeros.

        Returns:
            Of shape (registers, rows of a register, depth).
        """
        return filled_up(rows, ROWS).view(-1, ROWS, rows.size(1))

    def source(self) -> str:
        return f"""
{FETCH}
{DECLARATIONS}
define private void @begin() {{
  {BEGIN}
  ret void
}}
define private void @end() {{
  {END}
  ret void
}}
{self._group(1)}
{self._group(2)}
define private void @strip(ptr %job, ptr %weights, ptr %result) {{
entry:
  {fields("strips", "depth", "groups", "numbers")}
  %row_bytes = mul i64 %depth, {ROW_BYTES}
  %register_bytes = mul i64 %row_bytes, {ROWS}
  %result_bytes = mul i64 %strips, {_OUTPUTS * 4}
  %register_results = mul i64 %result_bytes, {ROWS}
  br label %group
group:
  %index = phi i64 [0, %entry], [%index_next, %two]
  %numbers_offset = mul i64 %index, %register_bytes
  %own_numbers = getelementptr i8, ptr %numbers, i64 %numbers_offset
  %result_offset = mul i64 %index, %register_results
  %own_result = getelementptr i8, ptr %result, i64 %result_offset
  %index_next = add i64 %index, 2
  %both = icmp ule i64 %index_next, %groups
  br i1 %both, label %two, label %one
two:
  call void @group2(ptr %own_numbers, i64 %row_bytes, ptr %weights, i64 %depth, ptr %own_result, i64 %result_bytes)
  %more = icmp ult i64 %index_next, %groups
  br i1 %more, label %group, label %done
one:
  call void @group1(ptr %own_numbers, i64 %row_bytes, ptr %weights, i64 %depth, ptr %own_result, i64 %result_bytes)
  br label %done
done:
  ret void
}}
"""

    def _group(self, halves: int) -> str:
        """Return a function that multiplies 16 times `halves` rows with a strip."""
        zero = [f"call void @llvm.x86.tilezero(i8 {register})" for half in range(halves) for register in _SUMS[half]]
        load = [
            f"%second = getelementptr i8, ptr %block, i64 {REGISTER_BYTES}",
            f"call void @llvm.x86.tileloadd64(i8 {_WEIGHTS[0]}, ptr %block, i64 {ROW_BYTES})",
            f"call void @llvm.x86.tileloadd64(i8 {_WEIGHTS[1]}, ptr %second, i64 {ROW_BYTES})",
        ]
        multiply = [
            line
            for half in range(halves)
            for line in (
                f"%before{half} = mul i64 %row_bytes, {half * ROWS}",
                f"%numbers{half} = getelementptr i8, ptr %number, i64 %before{half}",
                f"call void @llvm.x86.tileloadd64(i8 {_ROWS[half]}, ptr %numbers{half}, i64 %row_bytes)",
                *(
                    f"call void @llvm.x86.tdpbf16ps(i8 {sums}, i8 {_ROWS[half]}, i8 {weights})"
                    for sums, weights in zip(_SUMS[half], _WEIGHTS, strict=True)
                ),
            )
        ]
        store = [
            line
            for half in range(halves)
            for place, register in enumerate(_SUMS[half])
            for line in (
                f"%results_before{half}_{place} = mul i64 %result_bytes, {half * ROWS}",
                f"%row{half}_{place} = getelementptr i8, ptr %result, i64 %results_before{half}_{place}",
                f"%at{half}_{place} = getelementptr i8, ptr %row{half}_{place}, i64 {place * ROW_BYTES}",
                f"call void @llvm.x86.tilestored64(i8 {register}, ptr %at{half}_{place}, i64 %result_bytes)",
            )
        ]
        return f"""
define private void @group{halves}(ptr %numbers, i64 %row_bytes, ptr %weights, i64 %depth,
                                   ptr %result, i64 %result_bytes) {{
entry:
  {block(zero)}
  br label %loop
loop:
  %step = phi i64 [0, %entry], [%step_next, %loop]
  %number = phi ptr [%numbers, %entry], [%number_next, %loop]
  %block = phi ptr [%weights, %entry], [%block_next, %loop]
  %ahead = getelementptr i8, ptr %block, i64 {FETCH_AHEAD_BYTES}
  {block([*fetches("%ahead", _BLOCK_BYTES // LINE_BYTES), *load, *multiply])}
  %step_next = add i64 %step, 1
  %number_next = getelementptr i8, ptr %number, i64 {ROW_BYTES}
  %block_next = getelementptr i8, ptr %block, i64 {_BLOCK_BYTES}
  %more = icmp ult i64 %step_next, %depth
  br i1 %more, label %loop, label %end
end:
  {block(store)}
  ret void
}}
"""
