"""What a float32 step does to rows between its products, as kernels: every thread takes one row after the other.

What the next product reads is put in the order in which it reads it: groups of so many rows, in which the numbers of
one place lie side by side (`streamed`). A single row in a group lies as it is.
"""

from __future__ import annotations

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
    from collections.abc import Mapping

    import torch

_NUMBER_BYTES = 4
_DEGREE = 5  # of the exponential: float32's rounding
_GREATEST_POWER = 126.0

_COMMON = {"next_row": "i64", "rows": "i64", "vectors": "i64"}
_ORDERED = {"group": "i64", "group_bytes": "i64", "result": "ptr"}
_FIELDS = {
    "norm": {**_COMMON, **_ORDERED, "hidden": "ptr", "weight": "ptr", "epsilon": "float"},
    "add_and_norm": {**_COMMON, **_ORDERED, "hidden": "ptr", "weight": "ptr", "epsilon": "float", "added": "ptr"},
    "gate": {**_COMMON, **_ORDERED, "numbers": "ptr", "factors": "ptr"},
    "order": {**_COMMON, **_ORDERED, "numbers": "ptr"},
    "rotate": {**_COMMON, "heads": "i64", "numbers": "ptr", "cosines": "ptr", "sines": "ptr"},
}
"""What each kernel is told: the next row to take, rows there are, and vectors of a row (of half a head, where they are
rotated); rows of a group, bytes of one, and where the result goes, in groups; where everything else lies, row after
row."""
_SCATTER = f"declare void @llvm.masked.scatter.v{LANES}f32.v{LANES}p0({FLOATS}, <{LANES} x ptr>, i32, <{LANES} x i1>)"


class StepRows:
    """The kernels, as calls of a chain. Rows and what they are told are float32, and of whole vectors.

    A chain that has them is told `rows`, and `group`, the rows of a group.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self) -> None:
        source = [DECLARATIONS, _SCATTER, _norm("norm"), _norm("add_and_norm"), _gate(), _order(), _rotate()]
        self._code = MachineCode("\n".join(source), _FIELDS, cpu_features())

    def norm(
        self, hidden: Told, weight: torch.Tensor, epsilon: float, result: Told, added: Told | None, *, ordered: bool
    ) -> Call:
        """Return a call for a row over the root of its mean square, times a weight.

        Args:
            hidden: where the rows lie.
            weight: of shape (width,); it has to be kept.
            epsilon: added to the mean square.
            result: where the result goes.
            added: where rows lie that are added to `hidden`, which is written to, first.
            ordered: whether the result is put in groups, or row after row.
        """
        values: dict[str, int | Told] = {
            "hidden": hidden,
            "weight": weight.data_ptr(),
            "epsilon": float_bits(epsilon),
        }
        if added is not None:
            values["added"] = added
        return self._call("norm" if added is None else "add_and_norm", len(weight), values, result, ordered=ordered)

    def gate(self, numbers: Told, factors: Told, width: int, result: Told) -> Call:
        """Return a call for ``silu(numbers) * factors``, in groups."""
        return self._call("gate", width, {"numbers": numbers, "factors": factors}, result)

    def order(self, numbers: Told, width: int, result: Told) -> Call:
        """Return a call that puts rows in groups."""
        return self._call("order", width, {"numbers": numbers}, result)

    def rotate(self, numbers: Told, heads: int, head_dim: int, cosines: Told, sines: Told) -> Call:
        """Return a call that rotates heads in their place, the two halves of each as pairs.

        Args:
            numbers: where rows of heads lie.
            heads: of a row.
            head_dim: numbers of a head.
            cosines: where, for each row, `head_dim` of them lie.
            sines: the same.
        """
        common: dict[str, int | Told] = {"next_row": 0, "rows": Told("rows"), "vectors": head_dim // 2 // LANES}
        values: dict[str, int | Told] = {"numbers": numbers, "heads": heads, "cosines": cosines, "sines": sines}
        return Call(self._code, "rotate", {**common, **values})

    def _call(
        self, function: str, width: int, values: Mapping[str, int | Told], result: Told, *, ordered: bool = True
    ) -> Call:
        common: dict[str, int | Told] = {"next_row": 0, "rows": Told("rows"), "vectors": width // LANES}
        group = Told("group") if ordered else 1
        group_bytes = Told("group", width * _NUMBER_BYTES) if ordered else width * _NUMBER_BYTES
        ordering = {"group": group, "group_bytes": group_bytes, "result": result}
        return Call(self._code, function, {**common, **ordering, **values})


@cache
def step_rows() -> StepRows:
    """Return the kernels, translated once, for a CPU with AVX-512, as `step_attention` finds out.

    Raises:
        RuntimeError: as `StepRows` does.
        OSError: the same.
    """
    return StepRows()


def _norm(name: str) -> str:
    code, told = tabled(name, _FIELDS[name])
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    count = code.let(f"sitofp i64 {code.times(told['vectors'], LANES)} to float")
    with code.share(place(code, _FIELDS[name], "next_row"), told["rows"]) as row:
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
        groups = _Groups(code, told, row)
        with code.loop(told["vectors"]) as vector:
            at = code.times(vector.index, VECTOR_BYTES)
            number, weight = (code.load(FLOATS, code.after(one, at)) for one in (own, told["weight"]))
            scaled = code.let(f"fmul {FLOATS} {number}, {scale}")
            groups.put(vector.index, code.let(f"fmul {FLOATS} {scaled}, {weight}"))
    return code.source()


def _gate() -> str:
    code, told = tabled("gate", _FIELDS["gate"])
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    with code.share(place(code, _FIELDS["gate"], "next_row"), told["rows"]) as row:
        before = code.times(row, row_bytes)
        groups = _Groups(code, told, row)
        with code.loop(told["vectors"]) as vector:
            at = code.times(vector.index, VECTOR_BYTES)
            number, factor = (code.load(FLOATS, code.after(told[one], before, at)) for one in ("numbers", "factors"))
            power = code.let(f"fmul {FLOATS} {number}, {all_lanes(-LOG2_E)}")
            grown = power_of_two(code, minimum(code, power, all_lanes(_GREATEST_POWER)), _DEGREE)
            below = code.let(f"fadd {FLOATS} {grown}, {all_lanes(1.0)}")
            silu = code.let(f"fdiv {FLOATS} {number}, {below}")
            groups.put(vector.index, code.let(f"fmul {FLOATS} {silu}, {factor}"))
    return code.source()


def _order() -> str:
    code, told = tabled("order", _FIELDS["order"])
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    with code.share(place(code, _FIELDS["order"], "next_row"), told["rows"]) as row:
        own = code.after(told["numbers"], code.times(row, row_bytes))
        groups = _Groups(code, told, row)
        with code.loop(told["vectors"]) as vector:
            at = code.times(vector.index, VECTOR_BYTES)
            groups.put(vector.index, code.load(FLOATS, code.after(own, at)))
    return code.source()


def _rotate() -> str:
    code, told = tabled("rotate", _FIELDS["rotate"])
    half_bytes = code.times(told["vectors"], VECTOR_BYTES)
    head_bytes = code.times(half_bytes, 2)
    row_bytes = code.times(head_bytes, told["heads"])
    with code.share(place(code, _FIELDS["rotate"], "next_row"), told["rows"]) as row:
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


class _Groups:
    """Where a row's result goes."""

    def __init__(self, code: Function, told: dict[str, str], row: str) -> None:
        self._code = code
        group = code.over(row, told["group"])
        within = code.minus(row, code.times(group, told["group"]))
        self._own = code.after(
            told["result"], code.times(group, told["group_bytes"]), code.times(within, _NUMBER_BYTES)
        )
        self._apart = code.times(told["group"], _NUMBER_BYTES)
        self._offsets = code.let(f"mul <{LANES} x i64> {LANE_NUMBERS}, {spread(code, 'i64', self._apart)}")

    def put(self, index: str, vector: str) -> None:
        """Put a row's vector of this index there."""
        code = self._code
        first = code.after(self._own, code.times(code.times(index, LANES), self._apart))
        places = code.let(f"getelementptr i8, ptr {first}, <{LANES} x i64> {self._offsets}")
        told = f"{FLOATS} {vector}, <{LANES} x ptr> {places}, i32 {_NUMBER_BYTES}, {EVERY_LANE}"
        code.do(f"call void @llvm.masked.scatter.v{LANES}f32.v{LANES}p0({told})")
