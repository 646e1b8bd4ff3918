"""Assembly of the vocoder's activation: every thread takes some rows."""

from __future__ import annotations

from stateless_tts.engine.machine_code._function import place, tabled
from stateless_tts.engine.machine_code._vectors import FLOATS, VECTOR_BYTES, fma, squared_sine

FIELDS = {
    "next_share": "i64",
    "shares": "i64",
    "rows": "i64",
    "vectors": "i64",
    "numbers": "ptr",
    "frequencies": "ptr",
    "heights": "ptr",
    "result": "ptr",
}
"""What is told: the next share of the rows to take, and the shares there are; rows, and vectors of a row; where float32
rows, the channels' frequencies and heights, and the result lie, each side by side."""


def source(name: str) -> str:
    """Return a function for `FIELDS`: a number, and the square of the sine of it, by channel's frequency and height."""
    code, told = tabled(name, FIELDS)
    row_bytes = code.times(told["vectors"], VECTOR_BYTES)
    with code.share(place(code, FIELDS, "next_share"), told["shares"]) as share:
        first, count = code.part(share, told["shares"], told["rows"])
        with code.loop(count) as turn:
            before = code.times(code.plus(first, turn.index), row_bytes)
            with code.loop(told["vectors"]) as vector:
                at = code.times(vector.index, VECTOR_BYTES)
                number = code.load(FLOATS, code.after(told["numbers"], before, at))
                frequency, height = (code.load(FLOATS, code.after(told[one], at)) for one in ("frequencies", "heights"))
                wave = squared_sine(code, code.let(f"fmul {FLOATS} {number}, {frequency}"))
                code.store(FLOATS, fma(code, wave, height, number), code.after(told["result"], before, at))
    return code.source()
