"""A strip multiplied in vector registers.

A tile of a strip and some rows keeps its sums in registers: each vector of weights is multiplied with one number of
every row. In bfloat16 the place of a number is taken by a pair, whose two products are added to the sum at once.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from stateless_tts.engine.machine_code._function import FETCH, table_of
from stateless_tts.engine.machine_code._vectors import has_wide_vectors

from ._arithmetic import FETCH_AHEAD_BYTES, block, fetches, fields, filled_up, groups_of

_VECTORS = 2  # of outputs, in a strip
_NUMBER_BYTES = 4  # of a float32, or of a pair of bfloat16
# Sums of so many float32 products round as little as MKL's for 32 rows, and twice as much as those for 2 to 8.
_FLOAT32_SUMS = 256


@dataclass(frozen=True)
class Vectors:
    """Arithmetic in vector registers.

    Attributes:
        dtype: float32, or bfloat16 on a CPU that multiplies pairs of it.
        lanes: float32 numbers in a register.
        rows: most rows of a tile; their sums, the weights and a number of a row have registers of their own.
    """

    dtype: torch.dtype
    lanes: int
    rows: int

    @staticmethod
    def of(features: dict[str, bool], dtype: torch.dtype) -> Vectors | None:
        """Return the arithmetic for a CPU with these features, as LLVM names them, or None if it has none."""
        needed = {torch.float32: "avx512f", torch.bfloat16: "avx512bf16"}
        if features.get(needed.get(dtype, "")):
            return Vectors(dtype, lanes=16, rows=12)  # 24 sums, 2 vectors of weights; a row's number comes from memory
        if dtype is torch.float32 and has_wide_vectors(features):
            return Vectors(dtype, lanes=8, rows=6)  # 12 sums, 2 vectors of weights, 1 of a row's number
        return None

    @property
    def outputs(self) -> int:
        return self.lanes * _VECTORS

    @property
    def fills_up(self) -> bool:
        return False

    @property
    def unit(self) -> int:
        return 1 if self.dtype is torch.float32 else 2

    @property
    def sums_of(self) -> tuple[int, ...]:
        """In bfloat16 these are oneDNN's ways to add, by the depth of the product, as read from its results."""
        return (_FLOAT32_SUMS,) if self.dtype is torch.float32 else (0, 512, 1024)

    def depth_of(self, packed: torch.Tensor) -> int | None:
        strips = packed.dim() == 4 and packed.size(2) == self.outputs and packed.size(3) == self.unit  # noqa: PLR2004
        return packed.size(1) * self.unit if strips else None

    def in_strips(self, weight: torch.Tensor) -> torch.Tensor:
        return weight.view(-1, self.outputs, weight.size(1) // self.unit, self.unit).transpose(1, 2)

    def groups_of(self, rows: int) -> tuple[int, int]:
        return groups_of(rows, self.rows)

    def arranged(self, rows: torch.Tensor) -> torch.Tensor:
        """Share rows out among tiles; in each, what meets one weight lies side by side.

        Returns:
            Numbers, or pairs of them, as int32 of shape (tiles, depth, rows of a tile); the last rows may be zeros.
        """
        tiles, each = self.groups_of(len(rows))
        return filled_up(rows, tiles * each).view(torch.int32).view(tiles, each, -1).transpose(1, 2).contiguous()

    def source(self) -> str:
        counts = range(1, self.rows + 1)
        tiles = "\n".join(self._tile(count) for count in counts)
        strip = self.outputs * _NUMBER_BYTES
        return f"""
{self._declarations()}
{tiles}
{table_of("tile", self.rows)}

define private void @begin() {{
  ret void
}}
define private void @end() {{
  ret void
}}
define private void @strip(ptr %job, ptr %weights, ptr %result) {{
entry:
  {fields("strips", "depth", "sums_of", "groups", "rows", "numbers")}
  ; Tiles have `rows` rows each. Each fetches its part of what comes later.
  %tile_at = getelementptr ptr, ptr @tiles, i64 %rows
  %tile = load ptr, ptr %tile_at
  %ahead_step = udiv i64 {strip}, %groups
  %number_bytes = mul i64 %rows, {_NUMBER_BYTES}
  %tile_bytes = mul i64 %number_bytes, %depth
  %result_bytes = mul i64 %strips, {strip}
  %tile_results = mul i64 %result_bytes, %rows
  br label %chunk
chunk:
  %from = phi i64 [0, %entry], [%to, %chunk_end]
  %first_chunk = icmp eq i64 %from, 0
  %left = sub i64 %depth, %from
  %length = call i64 @llvm.umin.i64(i64 %left, i64 %sums_of)
  %to = add i64 %from, %length
  %weights_offset = mul i64 %from, {strip}
  %chunk_weights = getelementptr i8, ptr %weights, i64 %weights_offset
  %numbers_offset = mul i64 %from, %number_bytes
  %chunk_numbers = getelementptr i8, ptr %numbers, i64 %numbers_offset
  %ahead = getelementptr i8, ptr %chunk_weights, i64 {FETCH_AHEAD_BYTES}
  %ahead_part = mul i64 %ahead_step, %length
  br label %group
group:
  %index = phi i64 [0, %chunk], [%index_next, %group]
  %own_numbers = phi ptr [%chunk_numbers, %chunk], [%next_numbers, %group]
  %own_ahead = phi ptr [%ahead, %chunk], [%next_ahead, %group]
  %own_result = phi ptr [%result, %chunk], [%next_result, %group]
  call void %tile(ptr %own_numbers, i64 %number_bytes, ptr %chunk_weights, i64 %length,
                  ptr %own_ahead, i64 %ahead_step, ptr %own_result, i64 %result_bytes, i1 %first_chunk)
  %index_next = add i64 %index, 1
  %next_numbers = getelementptr i8, ptr %own_numbers, i64 %tile_bytes
  %next_ahead = getelementptr i8, ptr %own_ahead, i64 %ahead_part
  %next_result = getelementptr i8, ptr %own_result, i64 %tile_results
  %more_groups = icmp ult i64 %index_next, %groups
  br i1 %more_groups, label %group, label %chunk_end
chunk_end:
  %more_chunks = icmp ult i64 %to, %depth
  br i1 %more_chunks, label %chunk, label %done
done:
  ret void
}}
"""

    def _declarations(self) -> str:
        sums = f"<{self.lanes} x float>"
        multiply = (
            f"declare {sums} @llvm.fma.v{self.lanes}f32({sums}, {sums}, {sums})"
            if self.dtype is torch.float32
            else f"declare {sums} @llvm.x86.avx512bf16.dpbf16ps.512({sums}, <32 x bfloat>, <32 x bfloat>)"
        )
        return f"""
{FETCH}
declare i64 @llvm.umin.i64(i64, i64)
{multiply}"""

    def _multiplied(self, row: int, place: int) -> str:
        sums = f"<{self.lanes} x float>"
        before = f"{sums} %sum{row}_{place}"
        if self.dtype is torch.float32:
            return f"call {sums} @llvm.fma.v{self.lanes}f32({sums} %spread{row}, {sums} %weight{place}, {before})"
        pairs = f"<32 x bfloat> %spread{row}, <32 x bfloat> %weight{place}"
        return f"call {sums} @llvm.x86.avx512bf16.dpbf16ps.512({before}, {pairs})"

    def _tile(self, rows: int) -> str:
        """Return a function that adds what `length` numbers of `rows` rows give to a strip's results, or sets these."""
        sums = f"<{self.lanes} x float>"
        numbers = f"<{self.lanes} x i32>"
        vector = sums if self.dtype is torch.float32 else "<32 x bfloat>"
        places = [(row, place) for row in range(rows) for place in range(_VECTORS)]
        begin = [
            f"%sum{row}_{place} = phi {sums} [zeroinitializer, %entry], [%new{row}_{place}, %loop]"
            for row, place in places
        ]
        load = [
            line
            for place in range(_VECTORS)
            for line in (
                f"%weight_at{place} = getelementptr {vector}, ptr %weight, i64 {place}",
                f"%weight{place} = load {vector}, ptr %weight_at{place}, align 32",
            )
        ]
        spread = [
            line
            for row in range(rows)
            for line in (
                f"%number_at{row} = getelementptr i32, ptr %number, i64 {row}",
                f"%number{row} = load i32, ptr %number_at{row}",
                f"%lane{row} = insertelement {numbers} poison, i32 %number{row}, i32 0",
                f"%lanes{row} = shufflevector {numbers} %lane{row}, {numbers} poison, {numbers} zeroinitializer",
                f"%spread{row} = bitcast {numbers} %lanes{row} to {vector}",
            )
        ]
        multiply = [f"%new{row}_{place} = {self._multiplied(row, place)}" for row, place in places]
        add = [
            line
            for row, place in places
            for line in (
                f"%row_offset{row}_{place} = mul i64 %result_step, {row}",
                f"%row{row}_{place} = getelementptr i8, ptr %result, i64 %row_offset{row}_{place}",
                f"%at{row}_{place} = getelementptr {sums}, ptr %row{row}_{place}, i64 {place}",
                f"%old{row}_{place} = load {sums}, ptr %at{row}_{place}, align 4",
                f"%before{row}_{place} = select i1 %first, {sums} zeroinitializer, {sums} %old{row}_{place}",
                f"%total{row}_{place} = fadd {sums} %before{row}_{place}, %new{row}_{place}",
                f"store {sums} %total{row}_{place}, ptr %at{row}_{place}, align 4",
            )
        ]
        return f"""
define private void @tile{rows}(ptr %numbers, i64 %number_step, ptr %weights, i64 %length,
                                ptr %ahead, i64 %ahead_step, ptr %result, i64 %result_step, i1 %first) {{
entry:
  br label %loop
loop:
  %depth = phi i64 [0, %entry], [%depth_next, %loop]
  %number = phi ptr [%numbers, %entry], [%number_next, %loop]
  %weight = phi ptr [%weights, %entry], [%weight_next, %loop]
  %fetch = phi ptr [%ahead, %entry], [%fetch_next, %loop]
  {block(begin)}
  {block([*fetches("%fetch", 2), *load, *spread, *multiply])}
  %depth_next = add i64 %depth, 1
  %number_next = getelementptr i8, ptr %number, i64 %number_step
  %weight_next = getelementptr {vector}, ptr %weight, i64 {_VECTORS}
  %fetch_next = getelementptr i8, ptr %fetch, i64 %ahead_step
  %more = icmp ult i64 %depth_next, %length
  br i1 %more, label %loop, label %end
end:
  {block(add)}
  ret void
}}
"""
