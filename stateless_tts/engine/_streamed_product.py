"""A float32 product of few rows that fetches weights from memory while it multiplies those it has.

A step of T3 multiplies a few rows with 2 GB of weights. The libraries' products of 8 rows get them at half of the rate
that memory has: they read a block, multiply it, and only then ask for the next one. This one asks for the
next 32 KB while it multiplies these, so that memory never waits for the arithmetic. On two cores of an AMX Xeon it
takes 0.4 to 0.6 of oneDNN's time for 8 and 32 rows (`reports/published/bench-full/profile.md`).

Weights lie in strips of some outputs. A tile of a strip and some rows keeps its sums in vector registers; LLVM, which
librosa brings by way of numba, translates it for the CPU at hand. Every sum is made in one order, whatever rows
there are beside it and however many threads share the strips out, so that a row's bits depend on that row alone.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import llvmlite.binding as llvm
import torch

from ._huge_pages import put_on_huge_pages

if TYPE_CHECKING:
    from collections.abc import Callable

# Numbers of the depth whose sum is added to the result at once. A strip's weights for them, 32 KB with AVX-512, stay in
# a core's caches until all rows have been multiplied; and sums of so many round as little as MKL's.
_CHUNK = 256
_VECTORS = 2  # of outputs, in a strip
# Each thread takes neighbouring strips, so that what is fetched ahead is its own; a few times, as one may be slower.
_PARTS_OF_A_THREAD = 4


@dataclass(frozen=True)
class _Registers:
    """What a CPU's vector registers have room for.

    Attributes:
        lanes: float32 numbers in one of them.
        rows: most rows of a tile; their sums, the weights and a number of a row have registers of their own.
    """

    lanes: int
    rows: int

    @property
    def outputs(self) -> int:
        """Of a strip."""
        return self.lanes * _VECTORS


# What `multiply` is told, each of 8 bytes.
_JOB = {
    "next_part": "i64",
    "parts": "i64",
    "strips": "i64",
    "depth": "i64",
    "rows": "i64",
    "by_depth": "ptr",
    "weights": "ptr",
    "result": "ptr",
}


class StreamedProduct:
    """The product, translated for this CPU.

    Args:
        features: of the CPU, as LLVM names them; `True` are those to use.

    Raises:
        RuntimeError: it cannot be had.
    """

    def __init__(self, features: dict[str, bool] | None = None) -> None:
        features = llvm.get_host_cpu_features() if features is None else features
        registers, share_out = _registers(features), _openmp()
        if registers is None or share_out is None:
            raise RuntimeError("a streamed product needs AVX2 with FMA or AVX-512, and a torch built with GNU's OpenMP")
        self._registers = registers
        self._share_out = share_out
        # Some CPUs are said to prefer narrow vectors, which would split every register in two.
        named = ",".join(("+" if on else "-") + name for name, on in features.items()) + ",-prefer-256-bit"
        self._code, self._multiply = _translate(_source(registers), named)

    def takes(self, outputs: int) -> bool:
        """Whether `outputs` fill whole strips."""
        return outputs % self._registers.outputs == 0

    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in strips.

        Args:
            weight: of shape (outputs, depth), float32, on the CPU; `takes` its outputs.

        Returns:
            Of shape (strips, depth, outputs of a strip).
        """
        strips = weight.detach().view(-1, self._registers.outputs, weight.size(1)).transpose(1, 2)
        packed = torch.empty(strips.shape, dtype=torch.float32)
        put_on_huge_pages(packed.data_ptr(), packed.nbytes)
        return packed.copy_(strips)

    def multiply(self, rows: torch.Tensor, packed: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ weight.T``, computed by as many threads as torch's operations have in this one.

        Args:
            rows: of shape (rows, depth), float32.
            packed: what `pack` returned for the weight.
        """
        strips, depth, outputs = packed.shape
        if rows.dtype is not torch.float32 or rows.dim() != 2 or rows.size(1) != depth:  # noqa: PLR2004
            raise ValueError(
                f"rows of {rows.dtype} and shape {tuple(rows.shape)}: expected float32 and (rows, {depth})"
            )
        result = rows.new_empty((rows.size(0), strips * outputs))
        if not rows.numel():
            return result.zero_()
        by_depth = rows.t().contiguous()  # the numbers that meet one weight lie beside each other
        threads = torch.get_num_threads()
        job = (ctypes.c_int64 * 8)(
            0,
            min(strips, threads * _PARTS_OF_A_THREAD),
            strips,
            depth,
            rows.size(0),
            by_depth.data_ptr(),
            packed.data_ptr(),
            result.data_ptr(),
        )
        self._share_out(self._multiply, job, threads, 0)
        return result


@cache
def streamed_product() -> StreamedProduct | None:
    """Return the product for this CPU, or None where it cannot be had: no OpenMP of GNU's in torch, or no AVX2."""
    if _registers(llvm.get_host_cpu_features()) is None or _openmp() is None:
        return None
    return StreamedProduct()


def _registers(features: dict[str, bool]) -> _Registers | None:
    if features.get("avx512f"):
        return _Registers(lanes=16, rows=12)  # 24 sums, 2 vectors of weights; a row's number comes from memory
    if features.get("avx2") and features.get("fma"):
        return _Registers(lanes=8, rows=6)  # 12 sums, 2 vectors of weights, 1 of a row's number
    return None


def _openmp() -> Callable[..., None] | None:
    """Return the function by which torch's own operations are shared out among its threads."""
    libraries = ctypes.CDLL(torch._C.__file__)  # noqa: SLF001 - with all that it was linked with
    if not hasattr(libraries, "GOMP_parallel"):
        return None
    share_out = libraries.GOMP_parallel
    share_out.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    share_out.restype = None
    return share_out


def _translate(source: str, features: str) -> tuple[llvm.ExecutionEngine, int]:
    """Return what holds the machine code, and the address of `multiply` in it."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=features, opt=3)
    module = llvm.parse_assembly(source)
    module.verify()
    code = llvm.create_mcjit_compiler(module, machine)
    code.finalize_object()
    return code, code.get_function_address("multiply")


def _source(registers: _Registers) -> str:
    """Return LLVM assembly: a tile for every number of rows, and `multiply`, which each thread runs."""
    counts = range(1, registers.rows + 1)
    tiles = "\n".join(_tile(count, registers.lanes) for count in counts)
    table = ", ".join(["ptr null", *(f"ptr @tile{count}" for count in counts)])
    strip = registers.outputs * 4
    fields = "\n  ".join(
        f"%{name}_at = getelementptr i64, ptr %job, i64 {place}\n  %{name} = load {type_}, ptr %{name}_at"
        for place, (name, type_) in enumerate(_JOB.items())
        if place
    )
    return f"""
declare void @llvm.prefetch.p0(ptr, i32, i32, i32)
declare <{registers.lanes} x float> @llvm.fma.v{registers.lanes}f32(
    <{registers.lanes} x float>, <{registers.lanes} x float>, <{registers.lanes} x float>)
{tiles}
@tiles = private constant [{registers.rows + 1} x ptr] [{table}]

; job: the next part, parts, strips, depth, rows, and where rows by depth, strips of weights and the result lie.
define void @multiply(ptr %job) {{
entry:
  {fields}
  ; Rows are shared out among as few tiles as hold them, as evenly as can be.
  %filled = add i64 %rows, {registers.rows - 1}
  %groups = udiv i64 %filled, {registers.rows}
  %ahead_step = udiv i64 {strip}, %groups
  %row_bytes = mul i64 %rows, 4
  %strip_bytes = mul i64 %depth, {strip}
  %result_bytes = mul i64 %strips, {strip}
  br label %next
next:
  %part = atomicrmw add ptr %job, i64 1 monotonic
  %any = icmp ult i64 %part, %parts
  br i1 %any, label %begin, label %done
begin:
  %first_strip_share = mul i64 %part, %strips
  %first_strip = udiv i64 %first_strip_share, %parts
  %part_next = add i64 %part, 1
  %last_strip_share = mul i64 %part_next, %strips
  %last_strip = udiv i64 %last_strip_share, %parts
  br label %strip
strip:
  %strip_index = phi i64 [%first_strip, %begin], [%strip_next, %strip_end]
  %strip_offset = mul i64 %strip_index, %strip_bytes
  %strip_weights = getelementptr i8, ptr %weights, i64 %strip_offset
  %result_offset = mul i64 %strip_index, {strip}
  %strip_result = getelementptr i8, ptr %result, i64 %result_offset
  br label %chunk
chunk:
  %from = phi i64 [0, %strip], [%to, %chunk_end]
  %first_chunk = icmp eq i64 %from, 0
  %left = sub i64 %depth, %from
  %length = call i64 @llvm.umin.i64(i64 %left, i64 {_CHUNK})
  %to = add i64 %from, %length
  %weights_offset = mul i64 %from, {strip}
  %chunk_weights = getelementptr i8, ptr %strip_weights, i64 %weights_offset
  %numbers_offset = mul i64 %from, %row_bytes
  %numbers = getelementptr i8, ptr %by_depth, i64 %numbers_offset
  br label %group
group:
  %index = phi i64 [0, %chunk], [%index_next, %group]
  %index_next = add i64 %index, 1
  %first_share = mul i64 %index, %rows
  %first_row = udiv i64 %first_share, %groups
  %last_share = mul i64 %index_next, %rows
  %last_row = udiv i64 %last_share, %groups
  %count = sub i64 %last_row, %first_row
  %tile_at = getelementptr ptr, ptr @tiles, i64 %count
  %tile = load ptr, ptr %tile_at
  %own_numbers = getelementptr float, ptr %numbers, i64 %first_row
  %own_offset = mul i64 %first_row, %result_bytes
  %own_result = getelementptr i8, ptr %strip_result, i64 %own_offset
  ; Each tile fetches its part of the chunk after this one.
  %ahead_part = mul i64 %index, %ahead_step
  %ahead_offset = mul i64 %ahead_part, %length
  %ahead_begin = add i64 %ahead_offset, {_CHUNK * strip}
  %ahead = getelementptr i8, ptr %chunk_weights, i64 %ahead_begin
  call void %tile(ptr %own_numbers, i64 %row_bytes, ptr %chunk_weights, i64 %length,
                  ptr %ahead, i64 %ahead_step, ptr %own_result, i64 %result_bytes, i1 %first_chunk)
  %more_groups = icmp ult i64 %index_next, %groups
  br i1 %more_groups, label %group, label %chunk_end
chunk_end:
  %more_chunks = icmp ult i64 %to, %depth
  br i1 %more_chunks, label %chunk, label %strip_end
strip_end:
  %strip_next = add i64 %strip_index, 1
  %more_strips = icmp ult i64 %strip_next, %last_strip
  br i1 %more_strips, label %strip, label %next
done:
  ret void
}}
declare i64 @llvm.umin.i64(i64, i64)
"""


def _tile(rows: int, lanes: int) -> str:
    """Return a function that adds what `length` numbers of `rows` rows give to a strip's results, or sets these."""
    vector = f"<{lanes} x float>"
    sums = [(row, place) for row in range(rows) for place in range(_VECTORS)]
    begin = [
        f"%sum{row}_{place} = phi {vector} [zeroinitializer, %entry], [%new{row}_{place}, %loop]" for row, place in sums
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
            f"%number_at{row} = getelementptr float, ptr %number, i64 {row}",
            f"%number{row} = load float, ptr %number_at{row}",
            f"%lane{row} = insertelement {vector} poison, float %number{row}, i32 0",
            f"%spread{row} = shufflevector {vector} %lane{row}, {vector} poison, <{lanes} x i32> zeroinitializer",
        )
    ]
    multiply = [
        f"%new{row}_{place} = call {vector} @llvm.fma.v{lanes}f32("
        f"{vector} %spread{row}, {vector} %weight{place}, {vector} %sum{row}_{place})"
        for row, place in sums
    ]
    add = [
        line
        for row, place in sums
        for line in (
            f"%row_offset{row}_{place} = mul i64 %result_step, {row}",
            f"%row{row}_{place} = getelementptr i8, ptr %result, i64 %row_offset{row}_{place}",
            f"%at{row}_{place} = getelementptr {vector}, ptr %row{row}_{place}, i64 {place}",
            f"%old{row}_{place} = load {vector}, ptr %at{row}_{place}, align 4",
            f"%before{row}_{place} = select i1 %first, {vector} zeroinitializer, {vector} %old{row}_{place}",
            f"%total{row}_{place} = fadd {vector} %before{row}_{place}, %new{row}_{place}",
            f"store {vector} %total{row}_{place}, ptr %at{row}_{place}, align 4",
        )
    ]
    begin_text, loop_text, end_text = ("\n  ".join(lines) for lines in (begin, [*load, *spread, *multiply], add))
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
  {begin_text}
  call void @llvm.prefetch.p0(ptr %fetch, i32 0, i32 2, i32 1)
  %fetch_line = getelementptr i8, ptr %fetch, i64 64
  call void @llvm.prefetch.p0(ptr %fetch_line, i32 0, i32 2, i32 1)
  {loop_text}
  %depth_next = add i64 %depth, 1
  %number_next = getelementptr i8, ptr %number, i64 %number_step
  %weight_next = getelementptr {vector}, ptr %weight, i64 {_VECTORS}
  %fetch_next = getelementptr i8, ptr %fetch, i64 %ahead_step
  %more = icmp ult i64 %depth_next, %length
  br i1 %more, label %loop, label %end
end:
  {end_text}
  ret void
}}
"""
