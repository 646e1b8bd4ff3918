"""A product, translated for this CPU, and shared out among torch's threads."""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import torch

from stateless_tts.engine._huge_pages import put_on_huge_pages
from stateless_tts.engine.machine_code._chain import Call, Told
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features

from ._arithmetic import JOB, fields, filled_up
from ._matrices import Matrices
from ._torch_sums import TorchSums
from ._vectors import Vectors

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ._arithmetic import Arithmetic

logger = logging.getLogger(__name__)

_Value = TypeVar("_Value", int, Told)

# Each thread takes neighbouring strips, so that what is fetched ahead is its own; a few times, as one may be slower.
_PARTS_OF_A_THREAD = 4


class StreamedProduct:
    """The product of rows and weights of one dtype.

    Args:
        arithmetic: one that the CPU has.
        features: of the CPU, as LLVM names them; `True` are those to use.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, arithmetic: Arithmetic, features: dict[str, bool]) -> None:
        self.arithmetic = arithmetic
        self._code = MachineCode(arithmetic.source() + _sharing(arithmetic.outputs), {"multiply": JOB}, features)

    def takes(self, outputs: int, depth: int) -> bool:
        """Whether a weight of shape (outputs, depth) fills whole strips, or may be filled up."""
        whole = outputs % self.arithmetic.outputs == 0 or self.arithmetic.fills_up
        return whole and depth % self.arithmetic.unit == 0

    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in strips; the last one may have outputs of nobody's.

        Args:
            weight: of shape (outputs, depth) and the arithmetic's dtype, on the CPU; one that this `takes`.

        Returns:
            Of shape (strips, ...), contiguous.
        """
        strips = self.arithmetic.in_strips(filled_up(weight.detach(), self.arithmetic.outputs))
        packed = weight.new_empty(strips.shape)
        put_on_huge_pages(packed.data_ptr(), packed.nbytes)
        return packed.copy_(strips)

    def multiply(
        self,
        rows: torch.Tensor,
        packed: torch.Tensor,
        sums_of: int,
        bias: torch.Tensor | None = None,
        outputs: int | None = None,
    ) -> torch.Tensor:
        """Return ``rows @ weight.T + bias``, added up in float32, by as many threads as torch's operations have here.

        Args:
            rows: of shape (rows, depth) and the arithmetic's dtype, on the CPU.
            packed: what `pack` returned for the weight.
            sums_of: one of the arithmetic's own.
            bias: of shape (outputs,), or None.
            outputs: of the weight, if it was filled up; None for those of all strips.

        Returns:
            Of shape (rows, outputs) and the arithmetic's dtype.

        Raises:
            ValueError: an argument is not that.
        """
        arithmetic, (strips, *_) = self.arithmetic, packed.shape
        depth = arithmetic.depth_of(packed)
        if depth is None or packed.dtype is not arithmetic.dtype or not packed.is_contiguous():
            raise ValueError(f"a weight of {packed.dtype} and {tuple(packed.shape)}: expected what `pack` returned")
        if rows.dtype is not arithmetic.dtype or rows.shape != (len(rows), depth):
            expected = f"expected {arithmetic.dtype} and (rows, {depth})"
            raise ValueError(f"rows of {rows.dtype} and {tuple(rows.shape)}: {expected}")
        if sums_of not in arithmetic.sums_of:
            raise ValueError(f"sums_of={sums_of}: expected one of {arithmetic.sums_of}")
        most = strips * arithmetic.outputs
        least = most - arithmetic.outputs + 1 if arithmetic.fills_up else most
        if outputs is not None and not least <= outputs <= most:
            raise ValueError(f"outputs={outputs}: expected {least} to {most}, as this weight has strips for")
        if rows.device.type != "cpu" or packed.device.type != "cpu":
            raise ValueError(f"rows on {rows.device}, a weight on {packed.device}: expected both on the CPU")
        if not rows.numel():
            return rows.new_zeros((len(rows), strips * arithmetic.outputs))[:, :outputs]
        numbers, threads = arithmetic.arranged(rows), torch.get_num_threads()
        told = self.told(len(rows), [strips], threads)
        result = rows.new_empty((told["groups"] * told["group"], strips * arithmetic.outputs), dtype=torch.float32)
        values = self._job(
            packed,
            sums_of,
            parts=told[_parts_name(strips)],
            groups=told["groups"],
            rows=told["group"],
            numbers=numbers.data_ptr(),
            result=result.data_ptr(),
        )
        self._code.run("multiply", values, threads)
        result = result[: len(rows), :outputs]
        if bias is not None:
            result += bias
        return result.to(arithmetic.dtype)

    def multiply_call(self, packed: torch.Tensor, sums_of: int, numbers: Told, result: Told) -> Call:
        """Return a product as a call of a chain; nothing is checked, and `packed` has to be kept.

        Args:
            packed: as `multiply` takes it.
            sums_of: the same.
            numbers: where rows lie as the arithmetic arranges them.
            result: where all groups' rows are to lie, float32, the outputs of all strips side by side.
        """
        parts = Told(_parts_name(packed.size(0)))
        places = {"numbers": numbers, "result": result}
        values = self._job(packed, sums_of, parts=parts, groups=Told("groups"), rows=Told("group"), **places)
        return Call(self._code, "multiply", values)

    def told(self, rows: int, strips: Iterable[int], threads: int) -> dict[str, int]:
        """Return what products have to be told.

        Args:
            rows: that are multiplied.
            strips: of each of the weights.
            threads: that share a product out.
        """
        groups, group = self.arithmetic.groups_of(rows)
        parts = {_parts_name(count): min(count, threads * _PARTS_OF_A_THREAD) for count in set(strips)}
        return {"groups": groups, "group": group, **parts}

    def _job(self, packed: torch.Tensor, sums_of: int, **values: _Value) -> dict[str, int | _Value]:
        """Return the table of a product, of which some values may be told later."""
        strips, depth = packed.size(0), self.arithmetic.depth_of(packed)
        assert depth is not None
        return {
            "next_part": 0,
            "strips": strips,
            "strip_bytes": packed.nbytes // strips,
            "depth": depth // self.arithmetic.unit,
            "sums_of": (sums_of or depth) // self.arithmetic.unit,
            "weights": packed.data_ptr(),
            **values,
        }


def _parts_name(strips: int) -> str:
    return f"parts_of_{strips}"


@cache
def streamed_product(dtype: torch.dtype) -> StreamedProduct | None:
    """Return the product for `dtype` on this CPU, or None where it cannot be had.

    It takes AVX2, and an OpenMP under torch that has GNU's entry points; in bfloat16 AVX512_BF16 or AMX, as oneDNN then
    uses, or a torch that has no oneDNN for it. Where there is AMX, it is used: oneDNN kept from it by
    ``ONEDNN_MAX_CPU_ISA`` has other bits.
    """
    try:
        features = cpu_features()
        arithmetic = Matrices.of(features, dtype) or Vectors.of(features, dtype) or TorchSums.of(features, dtype)
        return None if arithmetic is None else StreamedProduct(arithmetic, features)
    except (RuntimeError, OSError) as error:
        logger.info("no streamed product of %s on this machine: %s", dtype, error)
        return None


def _sharing(outputs: int) -> str:
    """Return what each thread runs: it takes parts, each of some neighbouring strips, until there are none left."""
    return f"""
define void @multiply(ptr %job) {{
entry:
  {fields("parts", "strips", "strip_bytes", "weights", "result")}
  call void @begin()
  br label %next
next:
  %part = atomicrmw add ptr %job, i64 1 monotonic
  %any = icmp ult i64 %part, %parts
  br i1 %any, label %take, label %done
take:
  %part_next = add i64 %part, 1
  %first_share = mul i64 %part, %strips
  %first = udiv i64 %first_share, %parts
  %last_share = mul i64 %part_next, %strips
  %last = udiv i64 %last_share, %parts
  br label %one
one:
  %index = phi i64 [%first, %take], [%index_next, %one]
  %index_next = add i64 %index, 1
  %offset = mul i64 %index, %strip_bytes
  %own_weights = getelementptr i8, ptr %weights, i64 %offset
  %own_result = getelementptr [{outputs} x float], ptr %result, i64 %index
  call void @strip(ptr %job, ptr %own_weights, ptr %own_result)
  %more = icmp ult i64 %index_next, %last
  br i1 %more, label %one, label %next
done:
  call void @end()
  ret void
}}
"""
