"""Assembly of a norm and the activation behind it: every thread takes some rows."""

from __future__ import annotations

from stateless_tts.engine.machine_code._function import place, tabled
from stateless_tts.engine.machine_code._vectors import FLOATS, LANES, VECTOR_BYTES, fma, mean_and_scale, mish

from ._numbers import number_bytes, store_numbers

FIELDS = {
    "next_share": "i64",
    "shares": "i64",
    "rows": "i64",
    "vectors": "i64",
    "numbers": "ptr",
    "scale": "ptr",
    "shift": "ptr",
    "added": "ptr",
    "result": "ptr",
    "epsilon": "float",
}
"""What is told: the next share of the rows to take, and the shares there are; rows, and vectors of a row; where float32
rows, the norm's weight and bias, what is added behind the activation, and the result lie, each side by side; what is
added to a variance."""


def source(name: str, parts: int) -> str:
    """Return a function for `FIELDS`, whose result's numbers have so many parts."""
    code, told = tabled(name, FIELDS)
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    result_bytes = code.times(told["vectors"], LANES * number_bytes(parts))
    with code.share(place(code, FIELDS, "next_share"), told["shares"]) as share:
        first, count = code.part(share, told["shares"], told["rows"])
        with code.loop(count) as turn:
            row = code.plus(first, turn.index)
            numbers = code.after(told["numbers"], code.times(row, row_bytes))
            result = code.after(told["result"], code.times(row, result_bytes))
            mean, scale = mean_and_scale(code, numbers, told["vectors"], told["epsilon"])
            with code.loop(told["vectors"]) as vector:
                at = code.times(vector.index, VECTOR_BYTES)
                own, weight, bias, added = (
                    code.load(FLOATS, code.after(one, at))
                    for one in (numbers, told["scale"], told["shift"], told["added"])
                )
                away = code.let(f"fsub {FLOATS} {own}, {mean}")
                normed = fma(code, code.let(f"fmul {FLOATS} {away}, {scale}"), weight, bias)
                total = code.let(f"fadd {FLOATS} {mish(code, normed)}, {added}")
                to = code.after(result, code.times(vector.index, LANES * number_bytes(parts)))
                store_numbers(code, total, to, parts)
    return code.source()
