"""What a bfloat16 step, or a prompt, does to rows between its products, as kernels with torch's bits.

Each rounds where torch's operations round, and adds up in their order: a sum over a row in torch is one of 8 numbers at
a time (it has no kernel of 16), dealt out to four of these, sixteen after each other, whose sums are added up in order,
number by number at last (aten/native/cpu/SumKernel.cpp, as read from its results). `silu` is looked up: there are no
more than 65,536 numbers of 16 bits. Whoever uses the kernels compares what comes of them with torch's first
(`_start_up`).

Where the CPU has an instruction that rounds, numbers below 1.2e-38 become zeros, as the products that follow take them
in any case.

Rows lie as they are; products of theirs are float32 sums that have not been rounded yet. For products that want them
in an order of their own, as `TorchSums` does, they are put in it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from stateless_tts.engine.machine_code._chain import Call, Told, float_bits
from stateless_tts.engine.machine_code._function import Function, place, tabled
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features
from stateless_tts.engine.machine_code._vectors import (
    DECLARATIONS,
    EVERY_LANE,
    FLOATS,
    HALVES,
    LANES,
    SHORTS,
    all_lanes,
    has_wide_vectors,
    inverse_root,
    narrowed,
    rounded,
    widened,
)
from stateless_tts.engine.streamed import TorchSums

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_ROUNDING = ("avx512f", "avx512bw", "avx512vl", "avx512bf16")
_EIGHT = 8
_EIGHTS = f"<{_EIGHT} x float>"
_AT_ONCE = 4
_IN_A_ROW = 16
_WIDTHS = _EIGHT * _AT_ONCE * _IN_A_ROW  # a row has a multiple of it
_FIELDS = {
    "norm": {
        "next_row": "i64",
        "rows": "i64",
        "hidden": "ptr",
        "weight": "ptr",
        "epsilon": "float",
        "width": "i64",
        "result": "ptr",
        "sums": "ptr",
    },
    "gate": {
        "next_row": "i64",
        "rows": "i64",
        "width": "i64",
        "sums": "ptr",
        "factors": "ptr",
        "silu": "ptr",
        "result": "ptr",
    },
    "round": {"next_row": "i64", "rows": "i64", "width": "i64", "sums": "ptr", "result": "ptr"},
    "rotate": {
        "next_row": "i64",
        "rows": "i64",
        "heads": "i64",
        "half": "i64",
        "sums": "ptr",
        "cosines": "ptr",
        "sines": "ptr",
        "result": "ptr",
    },
    "order": {
        "next_share": "i64",
        "groups": "i64",
        "group": "i64",
        "numbers": "i64",
        "rows": "ptr",
        "result": "ptr",
    },
}
_FIELDS["add_and_norm"] = _FIELDS["norm"]
"""What each kernel is told: the next row to take, rows there are, and numbers of a row (of half a head, where they are
rotated); and where everything lies, row after row. `sums` are float32 and what else there is bfloat16, but for the
float32 table of `silu`. Where rows are put in order: the next sum of a group to take, groups and their rows, and
numbers of a row for each sum."""
_GATHER = f"declare {FLOATS} @llvm.masked.gather.v{LANES}f32.v{LANES}p0(<{LANES} x ptr>, i32, <{LANES} x i1>, {FLOATS})"
_ADD_UP = f"declare float @llvm.vector.reduce.fadd.v{_EIGHT}f32(float, {_EIGHTS})"
_SUMS = TorchSums.unit
_REVERSE = "declare i64 @llvm.bitreverse.i64(i64)"


class TorchRows:
    """The kernels, as calls of a chain that is told `rows`; where they are put in order, `groups` and `group` as well.

    Args:
        features: of the CPU, as LLVM names them; AVX2 among them.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, features: dict[str, bool]) -> None:
        rounding = _Rounding(by_instruction=all(features.get(name) for name in _ROUNDING))
        norms = [_norm(name, rounding) for name in ("norm", "add_and_norm")]
        source = [DECLARATIONS, _GATHER, _ADD_UP, _REVERSE, *norms, _order()]
        source += [kernel(rounding) for kernel in (_gate, _round, _rotate)]
        self._code = MachineCode("\n".join(source), _FIELDS, features)
        self._silu = functional.silu(_every_number()).float()

    @property
    def kept(self) -> list[torch.Tensor]:
        """What calls point to besides what they are given."""
        return [self._silu]

    def knows_silu_alone(self) -> bool:
        """Whether torch's `silu` has a number's bits alone, too: as at the end of a thread's share, if it is odd."""
        together = self._silu.bfloat16()
        alone = torch.cat([functional.silu(few) for few in torch.split(_every_number(), _EIGHT - 1)])
        differ = together.view(torch.int16) != alone.view(torch.int16)
        return not bool((differ & ~(together.isnan() & alone.isnan())).any())

    def takes(self, width: int) -> bool:
        """Whether rows of so many numbers can be normed."""
        return width % _WIDTHS == 0 and width < _WIDTHS * _IN_A_ROW

    def norm(self, hidden: Told, weight: torch.Tensor, epsilon: float, result: Told, added: Told | None) -> Call:
        """Return a call for upstream's norm of rows, to which, where they lie, sums are added first.

        Args:
            hidden: where the rows lie.
            weight: bfloat16 of shape (width,), a width that this `takes`; it has to be kept.
            epsilon: added to the mean square.
            result: where the result goes.
            added: where the sums lie, or None.
        """
        values: dict[str, int | Told] = {"hidden": hidden, "result": result, "sums": added or 0}
        values |= {"weight": weight.data_ptr(), "epsilon": float_bits(epsilon), "width": len(weight)}
        return self._call("norm" if added is None else "add_and_norm", values)

    def gate(self, sums: Told, factors: Told, width: int, result: Told) -> Call:
        """Return a call for ``silu(sums) * factors``, both being sums, of a width of whole vectors."""
        values: dict[str, int | Told] = {"sums": sums, "factors": factors, "width": width, "result": result}
        return self._call("gate", {**values, "silu": self._silu.data_ptr()})

    def round(self, sums: Told, width: int, result: Told) -> Call:
        """Return a call that rounds sums, of a width of whole vectors."""
        return self._call("round", {"sums": sums, "width": width, "result": result})

    def rotate(self, sums: Told, heads: int, head_dim: int, cosines: Told, sines: Told, result: Told) -> Call:
        """Return a call that rounds and rotates heads, the two halves of each as pairs.

        Args:
            sums: where rows of heads lie.
            heads: of a row.
            head_dim: numbers of a head; its halves are whole vectors.
            cosines: where, for each row, `head_dim` of them lie.
            sines: the same.
            result: where the result goes.
        """
        values: dict[str, int | Told] = {"sums": sums, "heads": heads, "half": head_dim // 2, "result": result}
        return self._call("rotate", {**values, "cosines": cosines, "sines": sines})

    def order(self, rows: Told, width: int, result: Told) -> Call:
        """Return a call that puts rows, of a width that `TorchSums` takes, in its order.

        Args:
            rows: where they lie, those of nobody at the end of the last group as well.
            width: numbers of a row.
            result: where the result goes, float32.
        """
        values: dict[str, int | Told] = {"groups": Told("groups"), "group": Told("group"), "numbers": width // _SUMS}
        return Call(self._code, "order", {"next_share": 0, **values, "rows": rows, "result": result})

    def _call(self, function: str, values: Mapping[str, int | Told]) -> Call:
        return Call(self._code, function, {"next_row": 0, "rows": Told("rows"), **values})


@cache
def torch_rows() -> TorchRows | None:
    """Return the kernels, translated once, or None on a CPU without AVX2.

    Raises:
        RuntimeError: as `TorchRows` does.
        OSError: the same.
    """
    features = cpu_features()
    return TorchRows(features) if has_wide_vectors(features) else None


def _every_number() -> torch.Tensor:
    return torch.arange(2**16, dtype=torch.int32, device="cpu").to(torch.int16).view(torch.bfloat16)


@dataclass(frozen=True)
class _Rounding:
    """How 16 float32 numbers are rounded to bfloat16.

    Attributes:
        by_instruction: whether the CPU has one for it.
    """

    by_instruction: bool

    def shorts(self, code: Function, numbers: str) -> str:
        """Return their 16 bits."""
        if not self.by_instruction:
            return narrowed(code, numbers)
        return code.let(f"bitcast {HALVES} {code.let(f'fptrunc {FLOATS} {numbers} to {HALVES}')} to {SHORTS}")

    def rounded(self, code: Function, numbers: str) -> str:
        """Return what is left of them, as float32."""
        if not self.by_instruction:
            return rounded(code, numbers)
        half = code.let(f"fptrunc {FLOATS} {numbers} to {HALVES}")
        return code.let(f"fpext {HALVES} {half} to {FLOATS}")

    def store(self, code: Function, numbers: str, pointer: str) -> None:
        """Put them there."""
        code.store(SHORTS, self.shorts(code, numbers), pointer)


def _norm(name: str, rounding: _Rounding) -> str:
    code, told = tabled(name, _FIELDS[name])
    with code.share(place(code, _FIELDS[name], "next_row"), told["rows"]) as row:
        first = code.times(row, told["width"])
        own = code.after(told["hidden"], code.times(first, 2))
        if name == "add_and_norm":
            sums = code.after(told["sums"], code.times(first, 4))
            with code.loop(code.over(told["width"], LANES)) as vector:
                at = code.after(own, code.times(vector.index, LANES * 2))
                added = rounding.rounded(code, code.load(FLOATS, code.after(sums, code.times(vector.index, LANES * 4))))
                rounding.store(code, code.let(f"fadd {FLOATS} {widened(code, at)}, {added}"), at)
        mean = code.let(f"fdiv float {_mean_square_sum(code, own, told['width'])}, {_float(code, told['width'])}")
        scale = inverse_root(code, mean, told["epsilon"])
        result = code.after(told["result"], code.times(first, 2))
        with code.loop(code.over(told["width"], LANES)) as vector:
            at = code.times(vector.index, LANES * 2)
            number, weight = widened(code, code.after(own, at)), widened(code, code.after(told["weight"], at))
            scaled = rounding.rounded(code, code.let(f"fmul {FLOATS} {number}, {scale}"))
            rounding.store(code, code.let(f"fmul {FLOATS} {weight}, {scaled}"), code.after(result, at))
    return code.source()


def _mean_square_sum(code: Function, row: str, width: str) -> str:
    """Return the sum of a row's squares, as torch adds them up."""
    zero = all_lanes(0.0, _EIGHT)
    block_bytes = _EIGHT * _AT_ONCE * _IN_A_ROW * 2
    names = [f"sum{place}" for place in range(_AT_ONCE)]
    with code.loop(code.over(width, _WIDTHS), **dict.fromkeys(names, (_EIGHTS, zero))) as block:
        first = code.after(row, code.times(block.index, block_bytes))
        with code.loop(_IN_A_ROW, **dict.fromkeys(names, (_EIGHTS, zero))) as turn:
            at = code.after(first, code.times(turn.index, _EIGHT * _AT_ONCE * 2))
            for number, name in enumerate(names):
                whole = widened(code, code.after(at, number * _EIGHT * 2), _EIGHT)
                square = code.let(f"fmul {_EIGHTS} {whole}, {whole}")
                turn.then[name] = code.let(f"fadd {_EIGHTS} {turn.now[name]}, {square}")
        for name in names:
            block.then[name] = code.let(f"fadd {_EIGHTS} {block.now[name]}, {turn.then[name]}")
    total, *others = (block.then[name] for name in names)
    for other in others:
        total = code.let(f"fadd {_EIGHTS} {total}, {other}")
    # From the first number on: without leave to add in another order, it is kept.
    return code.let(f"call float @llvm.vector.reduce.fadd.v{_EIGHT}f32(float 0.0, {_EIGHTS} {total})")


def _gate(rounding: _Rounding) -> str:
    code, told = tabled("gate", _FIELDS["gate"])
    with _each_vector(code, "gate", told) as number:
        at = code.times(number, 4)
        gate = rounding.shorts(code, code.load(FLOATS, code.after(told["sums"], at)))
        index = code.let(f"zext {SHORTS} {gate} to <{LANES} x i64>")
        places = code.let(f"getelementptr float, ptr {told['silu']}, <{LANES} x i64> {index}")
        arguments = f"<{LANES} x ptr> {places}, i32 4, {EVERY_LANE}, {FLOATS} poison"
        silu = code.let(f"call {FLOATS} @llvm.masked.gather.v{LANES}f32.v{LANES}p0({arguments})")
        factor = rounding.rounded(code, code.load(FLOATS, code.after(told["factors"], at)))
        to = code.after(told["result"], code.times(number, 2))
        rounding.store(code, code.let(f"fmul {FLOATS} {silu}, {factor}"), to)
    return code.source()


def _round(rounding: _Rounding) -> str:
    code, told = tabled("round", _FIELDS["round"])
    with _each_vector(code, "round", told) as number:
        sums = code.load(FLOATS, code.after(told["sums"], code.times(number, 4)))
        rounding.store(code, sums, code.after(told["result"], code.times(number, 2)))
    return code.source()


@contextmanager
def _each_vector(code: Function, name: str, told: Mapping[str, str]) -> Iterator[str]:
    """Do what is written inside for every vector of every row; yields how many numbers are before it."""
    with code.share(place(code, _FIELDS[name], "next_row"), told["rows"]) as row:
        first = code.times(row, told["width"])
        with code.loop(code.over(told["width"], LANES)) as vector:
            yield code.plus(first, code.times(vector.index, LANES))


def _rotate(rounding: _Rounding) -> str:
    code, told = tabled("rotate", _FIELDS["rotate"])
    half = told["half"]
    with code.share(place(code, _FIELDS["rotate"], "next_row"), told["rows"]) as row:
        head_dim = code.times(half, 2)
        angles = code.times(row, head_dim)
        with code.loop(told["heads"]) as head:
            first = code.times(code.plus(code.times(row, told["heads"]), head.index), head_dim)
            with code.loop(code.over(half, LANES)) as vector:
                within = code.times(vector.index, LANES)
                ones = [code.plus(first, within), code.plus(code.plus(first, within), half)]
                pair = [
                    rounding.rounded(code, code.load(FLOATS, code.after(told["sums"], code.times(one, 4))))
                    for one in ones
                ]
                turned = [code.let(f"fneg {FLOATS} {pair[1]}"), pair[0]]
                for part, (one, other, to) in enumerate(zip(pair, turned, ones, strict=True)):
                    angle = code.times(code.plus(code.plus(angles, within), half if part else "0"), 2)
                    cosine, sine = (widened(code, code.after(told[name], angle)) for name in ("cosines", "sines"))
                    kept = rounding.rounded(code, code.let(f"fmul {FLOATS} {one}, {cosine}"))
                    given = rounding.rounded(code, code.let(f"fmul {FLOATS} {other}, {sine}"))
                    result = code.let(f"fadd {FLOATS} {kept}, {given}")
                    rounding.store(code, result, code.after(told["result"], code.times(to, 2)))
    return code.source()


def _order() -> str:
    """Return the kernel for rows in groups, of which every thread takes what makes one sum of one group at a time.

    A sum has every 64th number of each row; sums follow each other by their number's bits reversed, and the rows'
    numbers of one place lie side by side.
    """
    code, told = tabled("order", _FIELDS["order"])
    group, numbers = told["group"], told["numbers"]
    row_bytes = code.times(numbers, _SUMS * 2)
    sum_bytes = code.times(code.times(numbers, group), 4)
    with code.share(place(code, _FIELDS["order"], "next_share"), code.times(told["groups"], _SUMS)) as taken:
        before = code.over(taken, _SUMS)
        number = code.minus(taken, code.times(before, _SUMS))
        reversed_ = code.let(f"call i64 @llvm.bitreverse.i64(i64 {number})")
        turned = code.let(f"lshr i64 {reversed_}, {64 - _SUMS.bit_length() + 1}")
        result = code.after(told["result"], code.times(code.plus(code.times(before, _SUMS), turned), sum_bytes))
        first = code.after(told["rows"], code.times(code.times(before, group), row_bytes), code.times(number, 2))
        with code.loop(group) as row:
            own = code.after(first, code.times(row.index, row_bytes))
            at = code.after(result, code.times(row.index, 4))
            with code.loop(numbers) as turn:
                short = code.load("i16", code.after(own, code.times(turn.index, _SUMS * 2)))
                word = code.let(f"shl i32 {code.let(f'zext i16 {short} to i32')}, 16")
                code.store("i32", word, code.after(at, code.times(code.times(turn.index, group), 4)))
    return code.source()


def _float(code: Function, number: str) -> str:
    return code.let(f"sitofp i64 {number} to float")
