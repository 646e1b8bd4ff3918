"""Operands as AMX's registers take them, and their product.

A register holds 16 rows of 64 bytes. A panel is 32 rows of the left operand, or 32 columns of the right one, over the
whole depth of a product: for every 32 numbers of the depth, a register of the first 16 rows or columns and one of the
others. A number is one bfloat16, or the sum of two, whose registers follow each other: the larger parts, then what
they leave over. A product of such sums is three products: of the larger parts, and of each larger part with the other's
smaller one; that of the smaller parts is left out. It is what torch calls float32 precision "high".
"""

from __future__ import annotations

from stateless_tts.engine.machine_code._amx import DECLARATIONS, REGISTER_BYTES, ROW_BYTES, ROWS
from stateless_tts.engine.machine_code._function import Function
from stateless_tts.engine.machine_code._vectors import (
    FLOATS,
    HALVES,
    LANES,
    SHORTS,
    WORDS,
    in_bfloat16,
    mean_and_scale,
)
from stateless_tts.engine.units._numbers import SIDE, STEP, number_bytes

_HALVES = 2  # of a panel
# Of the eight registers: sums by left and right half, then what is multiplied.
_SUMS = ((0, 1), (2, 3))
_LEFT = (4, 5)
_RIGHT = (6, 7)

# What makes a panel: where rows lie, the bytes from one to the next, how many there are, steps of the depth.
_FROM_ROWS = {"numbers": "ptr", "stride": "i64", "rows": "i64", "steps": "i64", "panel": "ptr"}


def multiply(code: Function, left: str, right: str, steps: str, result: str, stride: str) -> None:
    """Put the float32 sums of a left and a right panel there, `stride` being the bytes from one row to the next."""
    code.do(f"call void @multiply(ptr {left}, ptr {right}, i64 {steps}, ptr {result}, i64 {stride})")


def make(code: Function, function: str, numbers: str, stride: str, rows: str, steps: str, panel: str) -> None:
    """Make a panel of rows that are `stride` bytes apart.

    `own_panel` has up to 32 rows as a left operand, `float32_panel` has them from float32, whatever the parts of other
    numbers are, `transposed_panel` as columns of a right operand; `columns_panel` has 32 columns of as many rows as
    there are. Beyond the last row it is repeated.
    """
    code.do(f"call void @{function}(ptr {numbers}, i64 {stride}, i64 {rows}, i64 {steps}, ptr {panel})")


def make_normed(code: Function, numbers: str, stride: str, rows: str, steps: str, panel: str, epsilon: str) -> None:
    """Make a `float32_panel` of rows less their means, with a variance of 1, `epsilon` included."""
    told = f"ptr {numbers}, i64 {stride}, i64 {rows}, i64 {steps}, ptr {panel}, float {epsilon}"
    code.do(f"call void @normed_panel({told})")


def source(parts: int) -> str:
    """Return the functions of this module, for numbers of so many parts."""
    of_rows = [_rows_panel(incoming, parts) for incoming in ("own", "float32", "normed")]
    return "\n".join([DECLARATIONS, _multiply(parts), *of_rows, _transposed_panel(parts), _columns_panel(parts)])


def step_bytes(parts: int) -> int:
    """Return what a panel has for each step of the depth."""
    return _HALVES * parts * REGISTER_BYTES


def _multiply(parts: int) -> str:
    """Return the function for the sums of 32 rows and 32 columns."""
    code = Function("multiply", {"left": "ptr", "right": "ptr", "steps": "i64", "result": "ptr", "stride": "i64"})
    for register in (*_SUMS[0], *_SUMS[1]):
        code.do(f"call void @llvm.x86.tilezero(i8 {register})")
    with code.loop("%steps", left=("ptr", "%left"), right=("ptr", "%right")) as loop:
        # The smaller sums first. From product to product, one operand's part stays in its registers.
        products = [(left, right) for left in reversed(range(parts)) for right in range(parts) if left + right < parts]
        in_left = in_right = None
        for left, right in products:
            if in_left != left:
                _load_halves(code, _LEFT, loop.now["left"], left, parts)
            if in_right != right:
                _load_halves(code, _RIGHT, loop.now["right"], right, parts)
            in_left, in_right = left, right
            for sums, one in zip(_SUMS, _LEFT, strict=True):
                for total, other in zip(sums, _RIGHT, strict=True):
                    code.do(f"call void @llvm.x86.tdpbf16ps(i8 {total}, i8 {one}, i8 {other})")
        for operand in ("left", "right"):
            loop.then[operand] = code.after(loop.now[operand], step_bytes(parts))
    lower = code.after("%result", code.times("%stride", ROWS))
    for sums, rows in zip(_SUMS, ("%result", lower), strict=True):
        for place, register in enumerate(sums):
            at = code.after(rows, place * ROW_BYTES)
            code.do(f"call void @llvm.x86.tilestored64(i8 {register}, ptr {at}, i64 %stride)")
    return code.source()


def _load_halves(code: Function, registers: tuple[int, int], operand: str, part: int, parts: int) -> None:
    """Load a part of what an operand has for one step."""
    for half, register in enumerate(registers):
        at = code.after(operand, (half * parts + part) * REGISTER_BYTES)
        code.do(f"call void @llvm.x86.tileloadd64(i8 {register}, ptr {at}, i64 {ROW_BYTES})")


def _rows_panel(incoming: str, parts: int) -> str:
    """Return the function for up to 32 rows as a left operand."""
    normed, from_parts = incoming == "normed", parts if incoming == "own" else 2
    code = Function(f"{incoming}_panel", {**_FROM_ROWS, "epsilon": "float"} if normed else _FROM_ROWS)
    last = code.minus("%rows", 1)
    with code.loop(SIDE) as row:
        numbers = code.after("%numbers", code.times(code.least(row.index, last), "%stride"))
        if normed:
            vectors = code.times("%steps", STEP // LANES)
            mean, scale = mean_and_scale(code, numbers, vectors, "%epsilon")
        panel = row_of_panel(code, "%panel", row.index, parts)
        with code.loop("%steps", numbers=("ptr", numbers), panel=("ptr", panel)) as step:
            for place in range(STEP // LANES):
                at = code.after(step.now["numbers"], place * LANES * number_bytes(from_parts))
                if normed:
                    away = code.let(f"fsub {FLOATS} {code.load(FLOATS, at)}, {mean}")
                    found = in_bfloat16(code, code.let(f"fmul {FLOATS} {away}, {scale}"), parts)
                elif from_parts == 1:
                    found = [code.load(HALVES, at)]
                else:
                    found = in_bfloat16(code, code.load(FLOATS, at), parts)
                for part, one in enumerate(found):
                    to = code.after(step.now["panel"], part * REGISTER_BYTES + place * ROW_BYTES // 2)
                    code.store(HALVES, one, to)
            step.then["numbers"] = code.after(step.now["numbers"], STEP * number_bytes(from_parts))
            step.then["panel"] = code.after(step.now["panel"], step_bytes(parts))
    return code.source()


def row_of_panel(code: Function, panel: str, row: str, parts: int) -> str:
    """Return where a row of a left operand begins."""
    half, within = code.over(row, ROWS), code.let(f"urem i64 {row}, {ROWS}")
    return code.after(panel, code.times(half, parts * REGISTER_BYTES), code.times(within, ROW_BYTES))


def _transposed_panel(parts: int) -> str:
    """Return the function for up to 32 rows as columns of a right operand."""
    code = Function("transposed_panel", _FROM_ROWS)
    last = code.minus("%rows", 1)
    with code.loop(_HALVES) as half:
        first = code.times(half.index, ROWS)
        panel = code.after("%panel", code.times(half.index, parts * REGISTER_BYTES))
        rows = [
            code.after("%numbers", code.times(code.least(code.plus(first, row), last), "%stride"))
            for row in range(ROWS)
        ]
        with code.loop("%steps", panel=("ptr", panel)) as step:
            offset = code.times(step.index, STEP * number_bytes(parts))
            found = [_load_pair(code, code.after(row, offset), parts) for row in rows]
            for part in range(parts):
                pairs = [_joined(code, first[part], second[part]) for first, second in found]
                for row, vector in enumerate(_transposed(code, pairs)):
                    code.store(WORDS, vector, code.after(step.now["panel"], part * REGISTER_BYTES + row * ROW_BYTES))
            step.then["panel"] = code.after(step.now["panel"], step_bytes(parts))
    return code.source()


def _columns_panel(parts: int) -> str:
    """Return the function for 32 columns of many rows as a right operand, the rows being its depth."""
    code = Function("columns_panel", _FROM_ROWS)
    last = code.minus("%rows", 1)
    with code.loop("%steps", panel=("ptr", "%panel")) as step:
        first = code.times(step.index, STEP)
        with code.loop(ROWS) as pair:
            even = code.plus(first, code.times(pair.index, 2))
            odd = code.plus(even, 1)
            one, other = (
                _load_pair(code, code.after("%numbers", code.times(code.least(row, last), "%stride")), parts)
                for row in (even, odd)
            )
            panel = code.after(step.now["panel"], code.times(pair.index, ROW_BYTES))
            for part in range(parts):
                for half in range(_HALVES):
                    at = code.after(panel, (half * parts + part) * REGISTER_BYTES)
                    code.store(WORDS, _interleaved(code, one[half][part], other[half][part]), at)
        step.then["panel"] = code.after(step.now["panel"], step_bytes(parts))
    return code.source()


def _load(code: Function, pointer: str, parts: int) -> list[str]:
    """Return the parts of 16 numbers."""
    return [code.load(HALVES, pointer)] if parts == 1 else in_bfloat16(code, code.load(FLOATS, pointer), parts)


def _load_pair(code: Function, pointer: str, parts: int) -> tuple[list[str], list[str]]:
    """Return the parts of 16 numbers, and of the next 16."""
    return _load(code, pointer, parts), _load(code, code.after(pointer, LANES * number_bytes(parts)), parts)


def _joined(code: Function, first: str, second: str) -> str:
    """Return 32 bfloat16 as 16 words of two neighbours."""
    order = ", ".join(f"i32 {lane}" for lane in range(2 * LANES))
    both = code.let(f"shufflevector {HALVES} {first}, {HALVES} {second}, <{2 * LANES} x i32> <{order}>")
    return code.let(f"bitcast <{2 * LANES} x bfloat> {both} to {WORDS}")


def _interleaved(code: Function, low: str, high: str) -> str:
    """Return 16 words of one bfloat16 of each vector."""
    bits = [code.let(f"bitcast {HALVES} {one} to {SHORTS}") for one in (low, high)]
    low, high = (code.let(f"zext {SHORTS} {one} to {WORDS}") for one in bits)
    moved = code.let(f"shl {WORDS} {high}, <{', '.join(['i32 16'] * LANES)}>")
    return code.let(f"or {WORDS} {moved}, {low}")


def _transposed(code: Function, rows: list[str]) -> list[str]:
    """Return 16 rows of 16 words with rows and columns exchanged: blocks of 8, of 4, 2, 1 change places."""
    width = LANES // 2
    while width:
        first, second = [], []
        for lane in range(LANES):
            kept = lane & ~width
            first.append(kept if not lane & width else LANES + kept)
            second.append(first[-1] + width)
        turned = list(rows)
        for row in range(LANES):
            if not row & width:
                pair = f"{WORDS} {rows[row]}, {WORDS} {rows[row + width]}"
                turned[row] = _shuffled(code, pair, first)
                turned[row + width] = _shuffled(code, pair, second)
        rows, width = turned, width // 2
    return rows


def _shuffled(code: Function, pair: str, order: list[int]) -> str:
    return code.let(f"shufflevector {pair}, {WORDS} <{', '.join(f'i32 {lane}' for lane in order)}>")
