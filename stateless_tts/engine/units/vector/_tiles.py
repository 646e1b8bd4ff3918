"""Sums of some rows and columns that stay in vector registers until they are done.

The left operand is rows as they lie, wherever that is, a number of each being spread over a register. The right operand
is a strip: for every number of the depth, two registers of columns side by side. Each sum is one chain of fused
multiplications and additions over the depth, whatever rows there are beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stateless_tts.engine.machine_code._function import Function, table_of
from stateless_tts.engine.machine_code._vectors import LANES, declared_fma, fma, spread

if TYPE_CHECKING:
    from stateless_tts.engine.machine_code._function import Loop

NUMBER_BYTES = 4  # all are float32
_VECTORS = 2  # of a strip
_WRITTEN_OUT = 8  # steps of the depth, so that counting them costs less
# What a tile is told: where its rows lie, from one to the next, in how many taps, from one tap to the next, numbers of
# a tap; where the strip lies; where the sums go, from one row to the next.
_TOLD = {
    "numbers": "ptr",
    "row_bytes": "i64",
    "taps": "i64",
    "tap_bytes": "i64",
    "depth": "i64",
    "strip": "ptr",
    "sums": "ptr",
    "sums_bytes": "i64",
}


@dataclass(frozen=True)
class Tiles:
    """The tiles of a CPU.

    Attributes:
        lanes: numbers of a register.
        rows: the most of a tile; their sums, a vector of the strip and a spread number have registers of their own.
    """

    lanes: int
    rows: int

    @staticmethod
    def of(features: dict[str, bool]) -> Tiles:
        """Return those of a CPU with AVX2, or AVX-512, by its features as LLVM names them."""
        # 16 of 32 registers, as more rows would take more pointers than there are; or 12 of 16.
        return Tiles(lanes=16, rows=8) if features.get("avx512f") else Tiles(lanes=8, rows=6)

    @property
    def columns(self) -> int:
        """Of a strip."""
        return _VECTORS * self.lanes

    @property
    def step_bytes(self) -> int:
        """What a strip has for each number of the depth."""
        return self.columns * NUMBER_BYTES

    def source(self) -> str:
        """Return the functions of this module."""
        # The vectors of `_vectors` may be of this size, too, and are declared there.
        declared = "" if self.lanes == LANES else declared_fma(self.lanes)
        return "\n".join(
            [declared, *(self._tile(count + 1) for count in range(self.rows)), table_of("tile", self.rows)]
        )

    def multiply(
        self,
        code: Function,
        rows: str,
        numbers: str,
        row_bytes: str,
        depth: str,
        strip: str,
        sums: str,
        sums_bytes: str | int,
        taps: str = "1",
        tap_bytes: str = "0",
    ) -> None:
        """Put the sums of so many rows, at most a tile's, and a strip there.

        Args:
            code: where it is done.
            rows: how many there are.
            numbers: where they lie.
            row_bytes: from one row to the next.
            depth: numbers of a tap.
            strip: where it lies.
            sums: where the first row's go.
            sums_bytes: from one row's sums to the next one's.
            taps: in how many parts a row lies.
            tap_bytes: from one to the next.
        """
        tile = code.from_table("tile", rows)
        given = (numbers, row_bytes, taps, tap_bytes, depth, strip, sums, sums_bytes)
        told = ", ".join(f"{type_} {value}" for type_, value in zip(_TOLD.values(), given, strict=True))
        code.do(f"call void {tile}({told})")

    @property
    def _vector(self) -> str:
        return f"<{self.lanes} x float>"

    def _tile(self, rows: int) -> str:
        code, vector = Function(f"tile{rows}", _TOLD), self._vector
        names = [(row, place) for row in range(rows) for place in range(_VECTORS)]
        start = {f"sum{row}_{place}": (vector, "zeroinitializer") for row, place in names}
        with code.loop("%taps", numbers=("ptr", "%numbers"), strip=("ptr", "%strip"), **start) as tap:
            own = [code.after(tap.now["numbers"], code.times("%row_bytes", row)) for row in range(rows)]
            some = code.over("%depth", _WRITTEN_OUT)
            carried = {"strip": ("ptr", tap.now["strip"]), "before": ("i64", "0")}
            carried |= {name: (vector, tap.now[name]) for name in start}
            for count, steps in ((some, _WRITTEN_OUT), (code.minus("%depth", code.times(some, _WRITTEN_OUT)), 1)):
                with code.any_times(count, **carried) as step:
                    self._multiply_steps(code, step, own, steps)
                carried = {name: (type_, step.now[name]) for name, (type_, _) in carried.items()}
            tap.then.update(step.now)
            tap.then["numbers"] = code.after(tap.now["numbers"], "%tap_bytes")
        for row, place in names:
            at = code.after("%sums", code.times("%sums_bytes", row), place * self.lanes * NUMBER_BYTES)
            code.store(vector, tap.then[f"sum{row}_{place}"], at)
        return code.source()

    def _multiply_steps(self, code: Function, step: Loop, rows: list[str], steps: int) -> None:
        """Multiply what a turn of the loop over the depth has: so many numbers of each row, and of the strip."""
        sums = {name: step.now[name] for name in step.now if name.startswith("sum")}
        for index in range(steps):
            columns = [
                code.load(
                    self._vector,
                    code.after(step.now["strip"], index * self.step_bytes + place * self.lanes * NUMBER_BYTES),
                )
                for place in range(_VECTORS)
            ]
            for row, numbers in enumerate(rows):
                at = code.after(code.after(numbers, step.now["before"]), index * NUMBER_BYTES)
                everywhere = spread(code, "float", code.load("float", at), self.lanes)
                for place, column in enumerate(columns):
                    name = f"sum{row}_{place}"
                    sums[name] = fma(code, everywhere, column, sums[name], self.lanes)
        step.then.update(sums)
        step.then["strip"] = code.after(step.now["strip"], steps * self.step_bytes)
        step.then["before"] = code.plus(step.now["before"], steps * NUMBER_BYTES)
