"""What a float32 step, or a prompt, does to rows between its products, as kernels.

What the next product reads is put in the order in which it reads it: groups of so many rows, in which the numbers of
one place lie side by side (`streamed`). A single row in a group lies as it is. What goes into groups is shared out by
columns: the numbers of rows would share their cache lines with other threads' rows. The rest is shared out by rows.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from stateless_tts.engine.machine_code._chain import Call, Told, float_bits
from stateless_tts.engine.machine_code._function import Function, place, tabled
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features
from stateless_tts.engine.machine_code._vectors import (
    DECLARATIONS,
    EVERY_LANE,
    FLOATS,
    LANE_NUMBERS,
    LANES,
    LOG2_E,
    VECTOR_BYTES,
    added_up,
    all_lanes,
    fma,
    inverse_root,
    minimum,
    power_of_two,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import torch

_NUMBER_BYTES = 4
_SHARE_VECTORS = 4  # of columns
_DEGREE = 5  # of the exponential: float32's rounding
_GREATEST_POWER = 126.0

_COMMON = {"next_share": "i64", "rows": "i64", "vectors": "i64"}
_ORDERED = {"group": "i64", "group_bytes": "i64", "result": "ptr"}
_FIELDS = {
    "scales": {**_COMMON, "hidden": "ptr", "epsilon": "float", "result": "ptr"},
    "add_and_scales": {**_COMMON, "hidden": "ptr", "epsilon": "float", "result": "ptr", "added": "ptr"},
    "scaled": {**_COMMON, **_ORDERED, "hidden": "ptr", "scales": "ptr", "weight": "ptr"},
    "gate": {**_COMMON, **_ORDERED, "numbers": "ptr", "factors": "ptr"},
    "order": {**_COMMON, **_ORDERED, "numbers": "ptr"},
    "rotate": {**_COMMON, "heads": "i64", "numbers": "ptr", "cosines": "ptr", "sines": "ptr"},
}
"""What each kernel is told: the next row, or columns of a group, to take; rows there are, and vectors of a row (of half
a head, where they are rotated); rows of a group, bytes of one, and where the result goes, in groups (scales go side by
side); where everything else lies, row after row."""
_SCATTER = f"declare void @llvm.masked.scatter.v{LANES}f32.v{LANES}p0({FLOATS}, <{LANES} x ptr>, i32, <{LANES} x i1>)"


class StepRows:
    """The kernels, as calls of a chain. Rows and what they are told are float32, and of whole vectors.

    A chain that has them is told `rows`, and `group`, the rows of a group.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self) -> None:
        source = [DECLARATIONS, _SCATTER, _scales("scales"), _scales("add_and_scales"), _scaled(), _gate(), _order()]
        self._code = MachineCode("\n".join([*source, _rotate()]), _FIELDS, cpu_features())

    def norm(
        self, hidden: Told, weight: torch.Tensor, epsilon: float, result: Told, added: Told | None, *, ordered: bool
    ) -> tuple[Call, Call]:
        """Return calls for a row over the root of its mean square, times a weight; they are told `scales`, of each row.

        Args:
            hidden: where the rows lie.
            weight: of shape (width,); it has to be kept.
            epsilon: added to the mean square.
            result: where the result goes.
            added: where rows lie that are added to `hidden`, which is written to, first.
            ordered: whether the result is put in groups, or row after row.
        """
        scales = Told("scales")
        values: dict[str, int | Told] = {"hidden": hidden, "epsilon": float_bits(epsilon), "result": scales}
        if added is not None:
            values["added"] = added
        scale = Call(
            self._code, "scales" if added is None else "add_and_scales", {**_common(len(weight) // LANES), **values}
        )
        values = {"hidden": hidden, "scales": scales, "weight": weight.data_ptr()}
        return scale, self._ordered("scaled", len(weight), values, result, ordered=ordered)

    def gate(self, numbers: Told, factors: Told, width: int, result: Told) -> Call:
        """Return a call for ``silu(numbers) * factors``, in groups."""
        return self._ordered("gate", width, {"numbers": numbers, "factors": factors}, result)

    def order(self, numbers: Told, width: int, result: Told) -> Call:
        """Return a call that puts rows in groups."""
        return self._ordered("order", width, {"numbers": numbers}, result)

    def rotate(self, numbers: Told, heads: int, head_dim: int, cosines: Told, sines: Told) -> Call:
        """Return a call that rotates heads in their place, the two halves of each as pairs.

        Args:
            numbers: where rows of heads lie.
            heads: of a row.
            head_dim: numbers of a head.
            cosines: where, for each row, `head_dim` of them lie.
            sines: the same.
        """
        values: dict[str, int | Told] = {"numbers": numbers, "heads": heads, "cosines": cosines, "sines": sines}
        return Call(self._code, "rotate", {**_common(head_dim // 2 // LANES), **values})

    def _ordered(
        self, function: str, width: int, values: Mapping[str, int | Told], result: Told, *, ordered: bool = True
    ) -> Call:
        group = Told("group") if ordered else 1
        group_bytes = Told("group", width * _NUMBER_BYTES) if ordered else width * _NUMBER_BYTES
        ordering = {"group": group, "group_bytes": group_bytes, "result": result}
        return Call(self._code, function, {**_common(width // LANES), **ordering, **values})


def _common(vectors: int) -> dict[str, int | Told]:
    return {"next_share": 0, "rows": Told("rows"), "vectors": vectors}


@cache
def step_rows() -> StepRows:
    """Return the kernels, translated once, for a CPU with AVX2, as `step_attention` finds out.

    Raises:
        RuntimeError: as `StepRows` does.
        OSError: the same.
    """
    return StepRows()


def _scales(name: str) -> str:
    """Return the kernel for what makes a row's mean square 1, of which every thread takes one row after the other."""
    code, told = tabled(name, _FIELDS[name])
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    count = code.let(f"sitofp i64 {code.times(told['vectors'], LANES)} to float")
    with code.share(place(code, _FIELDS[name], "next_share"), told["rows"]) as row:
        before = code.times(row, row_bytes)
        own = code.after(told["hidden"], before)
        with code.loop(told["vectors"], total=(FLOATS, all_lanes(0.0))) as vector:
            at = code.times(vector.index, VECTOR_BYTES)
            number = code.load(FLOATS, code.after(own, at))
            if "added" in told:
                added = code.load(FLOATS, code.after(told["added"], before, at))
                number = code.let(f"fadd {FLOATS} {number}, {added}")
                code.store(FLOATS, number, code.after(own, at))
            vector.then["total"] = fma(code, number, number, vector.now["total"])
        mean = code.let(f"fdiv float {added_up(code, vector.then['total'])}, {count}")
        scale = inverse_root(code, mean, told["epsilon"])
        first = code.let(f"extractelement {FLOATS} {scale}, i32 0")
        code.store("float", first, code.after(told["result"], code.times(row, _NUMBER_BYTES)))
    return code.source()


def _scaled() -> str:
    code, told = tabled("scaled", _FIELDS["scaled"])
    with _each_vector(code, "scaled", told) as (row, in_row, in_rows, put):
        scale = spread(code, "float", code.load("float", code.after(told["scales"], code.times(row, _NUMBER_BYTES))))
        number, weight = (
            code.load(FLOATS, code.after(told["hidden"], in_rows)),
            code.load(FLOATS, code.after(told["weight"], in_row)),
        )
        scaled = code.let(f"fmul {FLOATS} {number}, {scale}")
        put(code.let(f"fmul {FLOATS} {scaled}, {weight}"))
    return code.source()


def _gate() -> str:
    code, told = tabled("gate", _FIELDS["gate"])
    with _each_vector(code, "gate", told) as (_, _, in_rows, put):
        number, factor = (code.load(FLOATS, code.after(told[one], in_rows)) for one in ("numbers", "factors"))
        power = code.let(f"fmul {FLOATS} {number}, {all_lanes(-LOG2_E)}")
        grown = power_of_two(code, minimum(code, power, all_lanes(_GREATEST_POWER)), _DEGREE)
        below = code.let(f"fadd {FLOATS} {grown}, {all_lanes(1.0)}")
        silu = code.let(f"fdiv {FLOATS} {number}, {below}")
        put(code.let(f"fmul {FLOATS} {silu}, {factor}"))
    return code.source()


def _order() -> str:
    code, told = tabled("order", _FIELDS["order"])
    with _each_vector(code, "order", told) as (_, _, in_rows, put):
        put(code.load(FLOATS, code.after(told["numbers"], in_rows)))
    return code.source()


@contextmanager
def _each_vector(
    code: Function, name: str, told: Mapping[str, str]
) -> Iterator[tuple[str, str, str, Callable[[str], None]]]:
    """Do what is written inside for every vector of every row: some columns of a group at a time are a thread's.

    Yields:
        The row; the bytes before the vector in it, and in all rows; and what puts the result in its group.
    """
    vectors, group = told["vectors"], told["group"]
    shares = code.over(code.plus(vectors, _SHARE_VECTORS - 1), _SHARE_VECTORS)
    groups = code.over(code.plus(told["rows"], code.minus(group, 1)), group)
    apart = code.times(group, _NUMBER_BYTES)
    offsets = code.let(f"mul <{LANES} x i64> {LANE_NUMBERS}, {spread(code, 'i64', apart)}")
    with code.share(place(code, _FIELDS[name], "next_share"), code.times(groups, shares)) as taken:
        index = code.over(taken, shares)
        first, own = code.part(code.minus(taken, code.times(index, shares)), shares, vectors)
        before = code.times(index, group)
        of_group = code.after(told["result"], code.times(index, told["group_bytes"]))
        with code.loop(code.least(group, code.minus(told["rows"], before))) as within:
            row = code.plus(before, within.index)
            result = code.after(of_group, code.times(within.index, _NUMBER_BYTES))
            with code.loop(own) as vector:
                number = code.plus(first, vector.index)
                in_row = code.times(number, VECTOR_BYTES)
                in_rows = code.plus(in_row, code.times(row, code.times(vectors, VECTOR_BYTES)))

                def put(value: str) -> None:
                    at = code.after(result, code.times(code.times(number, LANES), apart))
                    places = code.let(f"getelementptr i8, ptr {at}, <{LANES} x i64> {offsets}")
                    scattered = f"{FLOATS} {value}, <{LANES} x ptr> {places}, i32 {_NUMBER_BYTES}, {EVERY_LANE}"
                    code.do(f"call void @llvm.masked.scatter.v{LANES}f32.v{LANES}p0({scattered})")

                yield row, in_row, in_rows, put


def _rotate() -> str:
    code, told = tabled("rotate", _FIELDS["rotate"])
    half_bytes = code.times(told["vectors"], VECTOR_BYTES)
    head_bytes = code.times(half_bytes, 2)
    row_bytes = code.times(head_bytes, told["heads"])
    with code.share(place(code, _FIELDS["rotate"], "next_share"), told["rows"]) as row:
        own = code.after(told["numbers"], code.times(row, row_bytes))
        angles = code.times(row, head_bytes)
        with code.loop(told["heads"]) as head:
            of_head = code.after(own, code.times(head.index, head_bytes))
            with code.loop(told["vectors"]) as vector:
                at = code.times(vector.index, VECTOR_BYTES)
                first, second = (code.after(of_head, at), code.after(of_head, half_bytes, at))
                one, other = code.load(FLOATS, first), code.load(FLOATS, second)
                cosine, cosine_of_second, sine, sine_of_second = (
                    code.load(FLOATS, code.after(told[angle], angles, *half, at))
                    for angle in ("cosines", "sines")
                    for half in ((), (half_bytes,))
                )
                turned = code.let(f"fmul {FLOATS} {other}, {sine}")
                kept = code.let(f"fmul {FLOATS} {one}, {cosine}")
                code.store(FLOATS, code.let(f"fsub {FLOATS} {kept}, {turned}"), first)
                turned = code.let(f"fmul {FLOATS} {one}, {sine_of_second}")
                kept = code.let(f"fmul {FLOATS} {other}, {cosine_of_second}")
                code.store(FLOATS, code.let(f"fadd {FLOATS} {kept}, {turned}"), second)
    return code.source()
