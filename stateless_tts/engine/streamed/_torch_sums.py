"""A strip multiplied in float32's vector registers, in bfloat16, with torch's bits where oneDNN has no such products.

Torch multiplies bfloat16 itself there, one result after the other, in 64 sums of float32: each number of the depth goes
to the next of eight sums in eight registers, and at last halves of these are added up until one is left (read off its
results, torch 2.6; products of two bfloat16 are exact in float32). Here a number of many results at once goes to one of
the 64 sums after the other. They come in the order of their number's bits reversed, in which those that are added up
follow each other: each half of a tree is complete before the other begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.engine.machine_code._function import FETCH, Function, table_of
from stateless_tts.engine.machine_code._vectors import all_words, declared_fma, fma, has_wide_vectors, spread

from ._arithmetic import FETCH_AHEAD_BYTES, JOB, filled_up, groups_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from stateless_tts.engine.machine_code._function import Loop

    Sums = dict[tuple[int, int], str]

_LEVELS = 6  # of the tree
_SUMS = 2**_LEVELS
_WRITTEN_OUT = 2  # levels of the tree at its leaves; the others are loops
_VECTORS = 2  # of outputs, in a strip
_LANES = 8
_OUTPUTS = _VECTORS * _LANES
_ROWS = 6  # 12 sums, 2 vectors of weights, 1 of a row's number
_FLOATS = f"<{_LANES} x float>"
_WORDS = f"<{_LANES} x i32>"
_NUMBER_BYTES = 4  # of a row, as it is arranged, and of a result
_STEP_BYTES = _OUTPUTS * 2  # of a strip, for each number of the depth
_TILE = {
    "numbers": "ptr",
    "weights": "ptr",
    "length": "i64",
    "ahead": "ptr",
    "ahead_step": "i64",
    "result": "ptr",
    "result_step": "i64",
}
"""What a tile is told: where its numbers and weights lie, and numbers of one sum; what to fetch at first, and bytes
from there to what to fetch with the next number; where the results go, and bytes from row to row."""
_BITS = tuple(range(3, 3 + _LEVELS))  # dimensions of `_by_bits`


@dataclass(frozen=True)
class TorchSums:
    """Arithmetic in registers of float32, on a CPU whose torch multiplies bfloat16 without oneDNN.

    Its `unit` is a number for each of the sums.
    """

    dtype: torch.dtype = torch.bfloat16
    outputs: int = _OUTPUTS
    fills_up: bool = True
    unit: int = _SUMS
    sums_of: tuple[int, ...] = (0,)

    @staticmethod
    def of(features: dict[str, bool], dtype: torch.dtype) -> TorchSums | None:
        """Return the arithmetic for a CPU with these features, as LLVM names them, or None if it is not for it."""
        if dtype is not torch.bfloat16 or not has_wide_vectors(features) or has_onednn_bfloat16():
            return None
        return TorchSums()

    def depth_of(self, packed: torch.Tensor) -> int | None:
        halves, last = (2,) * _LEVELS, (_LANES, _VECTORS)
        strips = packed.dim() == _LEVELS + 4 and packed.shape[1:-3] == halves and packed.shape[-2:] == last
        return packed.size(-3) * _SUMS if strips else None

    def in_strips(self, weight: torch.Tensor) -> torch.Tensor:
        """A strip has one sum's weights after the other's; for each number of the depth, those of all outputs.

        An output of the first vector, and one of the second, are the halves of a float32 number's word.
        """
        by_bits = _by_bits(weight, _OUTPUTS)
        every = by_bits.view(-1, _VECTORS, _LANES, *by_bits.shape[2:])
        return every.permute(0, *(bit + 1 for bit in reversed(_BITS)), 3, 2, 1)

    def groups_of(self, rows: int) -> tuple[int, int]:
        return groups_of(rows, _ROWS)

    def arranged(self, rows: torch.Tensor) -> torch.Tensor:
        """Share rows out among tiles, as float32; in each, what meets one weight lies side by side.

        Returns:
            Of shape (tiles, 2, 2, 2, 2, 2, 2, numbers of a sum, rows of a tile); the last rows may be zeros.
        """
        tiles, each = self.groups_of(len(rows))
        numbers = _by_bits(filled_up(rows, tiles * each).float(), each)
        return numbers.permute(0, *reversed(_BITS), 2, 1).contiguous()

    def source(self) -> str:
        return "\n".join(
            [
                FETCH,
                declared_fma(_LANES),
                *(_tile(count + 1) for count in range(_ROWS)),
                table_of("tile", _ROWS),
                *(Function(name, {}).source() for name in ("begin", "end")),
                _strip(),
            ]
        )


def _by_bits(matrix: torch.Tensor, rows: int) -> torch.Tensor:
    """Return a view of (groups of rows, rows of one, numbers of a sum, then the bits of a sum's number, high first)."""
    return matrix.view(-1, rows, matrix.size(1) // _SUMS, *[2] * _LEVELS)


def _strip() -> str:
    """Return the function that multiplies all tiles with a strip. Each tile fetches its part of what comes later."""
    code = Function("strip", {"job": "ptr", "weights": "ptr", "result": "ptr"})
    told = {
        name: code.load(type_, code.after("%job", 8 * place))
        for place, (name, type_) in enumerate(JOB.items())
        if name in {"strips", "depth", "groups", "rows", "numbers"}
    }
    tile = code.from_table("tile", told["rows"])
    numbers = code.times(told["depth"], _SUMS)
    tile_bytes = code.times(code.times(numbers, told["rows"]), _NUMBER_BYTES)
    result_step = code.times(told["strips"], _OUTPUTS * _NUMBER_BYTES)
    ahead_step = code.over(str(_STEP_BYTES), told["groups"])
    with code.loop(told["groups"]) as group:
        fetched = code.times(code.times(group.index, ahead_step), numbers)
        given = {
            "numbers": code.after(told["numbers"], code.times(group.index, tile_bytes)),
            "weights": "%weights",
            "length": told["depth"],
            "ahead": code.after("%weights", FETCH_AHEAD_BYTES, fetched),
            "ahead_step": ahead_step,
            "result": code.after("%result", code.times(code.times(group.index, told["rows"]), result_step)),
            "result_step": result_step,
        }
        code.do(f"call void {tile}({', '.join(f'{_TILE[name]} {value}' for name, value in given.items())})")
    return code.source()


def _tile(rows: int) -> str:
    """Return the function that multiplies so many rows with a strip."""
    code = Function(f"tile{rows}", _TILE)
    pointers = {name: f"%{name}" for name in ("numbers", "weights", "ahead")}
    sums, _ = _Tree(code, rows).sums(_LEVELS, pointers)
    for (row, place), name in sums.items():
        at = code.after("%result", code.times("%result_step", row), place * _LANES * _NUMBER_BYTES)
        code.store(_FLOATS, name, at)
    return code.source()


class _Tree:
    """Sums by row and vector of outputs, of all that pointers lead to from where they are on."""

    def __init__(self, code: Function, rows: int) -> None:
        self._code, self._rows = code, rows
        self._places = [(row, place) for row in range(rows) for place in range(_VECTORS)]

    def sums(self, level: int, pointers: Mapping[str, str]) -> tuple[Sums, dict[str, str]]:
        """Return the sums of a tree of so many levels, and where the next one's numbers are."""
        if not level:
            return self._one_sum(pointers)
        if level <= _WRITTEN_OUT:
            first, pointers = self.sums(level - 1, pointers)
            second, pointers = self.sums(level - 1, pointers)
            return {place: self._added(first[place], second[place]) for place in self._places}, dict(pointers)
        with self._loop(2, pointers) as turn:
            half, following = self.sums(level - 1, {name: turn.now[name] for name in pointers})
            for place in self._places:  # nothing and the first half, which is never a negative zero, is that half
                turn.then[_name(place)] = self._added(turn.now[_name(place)], half[place])
            turn.then.update(following)
        return self._of(turn.then, pointers)

    def _one_sum(self, pointers: Mapping[str, str]) -> tuple[Sums, dict[str, str]]:
        code = self._code
        with self._loop("%length", pointers) as step:
            code.do(f"call void @llvm.prefetch.p0(ptr {step.now['ahead']}, i32 0, i32 2, i32 1)")
            weights = self._weights(step.now["weights"])
            for row in range(self._rows):
                number = code.load("float", code.after(step.now["numbers"], row * _NUMBER_BYTES))
                everywhere = spread(code, "float", number, _LANES)
                for place, weight in enumerate(weights):
                    name = _name((row, place))
                    step.then[name] = fma(code, everywhere, weight, step.now[name], _LANES)
            step.then["numbers"] = code.after(step.now["numbers"], self._rows * _NUMBER_BYTES)
            step.then["weights"] = code.after(step.now["weights"], _STEP_BYTES)
            step.then["ahead"] = code.after(step.now["ahead"], "%ahead_step")
        return self._of(step.then, pointers)

    def _weights(self, pointer: str) -> list[str]:
        """Return the vectors of weights for one number of the depth, as float32."""
        code, both = self._code, self._code.load(_WORDS, pointer)
        first = code.let(f"shl {_WORDS} {both}, {all_words(16, _LANES)}")
        second = code.let(f"and {_WORDS} {both}, {all_words(-(2**16), _LANES)}")
        return [code.let(f"bitcast {_WORDS} {one} to {_FLOATS}") for one in (first, second)]

    def _loop(self, count: int | str, pointers: Mapping[str, str]) -> AbstractContextManager[Loop]:
        start = {_name(place): (_FLOATS, "zeroinitializer") for place in self._places}
        return self._code.loop(count, **start, **{name: ("ptr", pointer) for name, pointer in pointers.items()})

    def _of(self, values: Mapping[str, str], pointers: Mapping[str, str]) -> tuple[Sums, dict[str, str]]:
        return {place: values[_name(place)] for place in self._places}, {name: values[name] for name in pointers}

    def _added(self, first: str, second: str) -> str:
        return self._code.let(f"fadd {_FLOATS} {first}, {second}")


def _name(place: tuple[int, int]) -> str:
    row, vector = place
    return f"sum{row}_{vector}"
