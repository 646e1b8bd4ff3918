"""How a number lies in memory, and what is done with a layer's sums before they are put there.

A number has so many parts of bfloat16: with one it is bfloat16 outside of a kernel, with two float32.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from stateless_tts.engine.machine_code._vectors import FLOATS, HALVES, gelu

if TYPE_CHECKING:
    from stateless_tts.engine.machine_code._function import Function

SIDE = 32
"""Outputs of a layer come in multiples of it, and rows are shared out so many at a time."""

STEP = 32
"""Numbers of a row, or of one tap of it, come in multiples of it."""

Ending = Literal["none", "float32", "gelu", "add"]
"""What is done with a result before it is put in its place: `float32` leaves it in that, `add` adds the residual, in
float32 as well."""

Incoming = Literal["own", "float32", "normed"]
"""What rows are: numbers of so many parts as the layer's, or float32, which is taken to them, or normed first."""

ENDINGS: tuple[Ending, ...] = get_args(Ending)
FLOAT32_ENDINGS: tuple[Ending, ...] = ("float32", "add")
IN_FLOAT32 = 2
"""Parts of a number that is float32 outside of a kernel, whatever the kernel makes of it."""


PADDING_BYTES = 64
"""Between rows that kernels make, lest those of 1,024 numbers all want the same places in the cache."""


def number_bytes(parts: int) -> int:
    """Return the size of a number outside of a kernel."""
    return 2 * parts


def store_numbers(code: Function, vector: str, pointer: str, parts: int) -> None:
    """Put 16 float32 numbers there as numbers of so many parts."""
    if parts > 1:
        code.store(FLOATS, vector, pointer)
    else:
        code.store(HALVES, code.let(f"fptrunc {FLOATS} {vector} to {HALVES}"), pointer)


def ended(code: Function, ending: Ending, total: str, residual: str, offset: int, parts: int) -> str:
    """Return what an ending makes of 16 sums, for a result of so many parts.

    Args:
        code: where it is done.
        ending: an `Ending`.
        total: the sums.
        residual: where the residual lies.
        offset: bytes from there to the 16 numbers to be added.
        parts: of a number of the result.
    """
    if ending == "gelu":
        return gelu(code, total, "rough" if parts == 1 else "exact")
    if ending == "add":
        return code.let(f"fadd {FLOATS} {total}, {code.load(FLOATS, code.after(residual, offset))}")
    return total
