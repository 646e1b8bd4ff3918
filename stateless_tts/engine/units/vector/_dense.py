"""Assembly of a dense layer: every thread takes some rows and multiplies them with all weights.

Rows are read where they lie, strip by strip, but for those that are normed first: results must not go there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from stateless_tts.engine.machine_code._function import place, tabled
from stateless_tts.engine.machine_code._vectors import FLOATS, LANES, VECTOR_BYTES, mean_and_scale
from stateless_tts.engine.units._numbers import IN_FLOAT32, PADDING_BYTES, Ending, ended

from ._tiles import NUMBER_BYTES

if TYPE_CHECKING:
    from stateless_tts.engine.machine_code._function import Function

    from ._tiles import Tiles

FIELDS = {
    "next_share": "i64",
    "next_room": "i64",
    "shares": "i64",
    "rows": "i64",
    "row_bytes": "i64",
    "depth": "i64",
    "taps": "i64",
    "tap_bytes": "i64",
    "strips": "i64",
    "room_bytes": "i64",
    "numbers": "ptr",
    "weights": "ptr",
    "bias": "ptr",
    "residual": "ptr",
    "room": "ptr",
    "result": "ptr",
    "epsilon": "float",
}
"""What a layer is told: the next share of the rows to take, and the next thread's room; shares there are; rows, and the
bytes from one to the next; numbers of one tap, how many taps there are, and the bytes from one tap's numbers to the
next one's (normed rows have one); strips of weights; bytes of the room that each thread has for the normed rows of a
share; where everything lies; what is added to a variance, if rows are normed. Strips and biases, residual and result
lie side by side."""

Rows = Literal["own", "normed"]
ROWS: tuple[Rows, ...] = get_args(Rows)


def room_bytes(rows: int, depth: int) -> int:
    """Return what so many normed rows take."""
    return rows * (depth * NUMBER_BYTES + PADDING_BYTES)


def source(name: str, rows: Rows, ending: Ending, tiles: Tiles) -> str:
    """Return a function for `FIELDS`."""
    code, told = tabled(name, FIELDS)
    count = code.over(code.plus(told["rows"], tiles.rows - 1), tiles.rows)
    strip_bytes = code.times(code.times(told["depth"], told["taps"]), tiles.step_bytes)
    sums = code.let(f"alloca [{tiles.rows * tiles.columns} x float], align 64")
    room = code.after(told["room"], code.times(code.take(place(code, FIELDS, "next_room")), told["room_bytes"]))
    with code.share(place(code, FIELDS, "next_share"), told["shares"]) as share:
        first, own = code.part(share, told["shares"], count)
        first_row = code.times(first, tiles.rows)
        own_rows = code.least(code.times(own, tiles.rows), code.minus(told["rows"], first_row))
        numbers = code.after(told["numbers"], code.times(first_row, told["row_bytes"]))
        row_bytes = told["row_bytes"]
        if rows == "normed":
            numbers, row_bytes = _normed(code, told, numbers, own_rows, room)
        with code.loop(told["strips"]) as strip:
            weights = code.after(told["weights"], code.times(strip.index, strip_bytes))
            with code.loop(own) as turn:
                before = code.times(turn.index, tiles.rows)
                of_tile = code.least(code.minus(own_rows, before), tiles.rows)
                at = code.after(numbers, code.times(before, row_bytes))
                taps = (told["taps"], told["tap_bytes"])
                tiles.multiply(code, of_tile, at, row_bytes, told["depth"], weights, sums, tiles.step_bytes, *taps)
                _end(code, told, ending, tiles, (code.plus(first_row, before), of_tile, strip.index, sums))
    return code.source()


def _normed(code: Function, told: dict[str, str], numbers: str, rows: str, room: str) -> tuple[str, str]:
    """Put rows less their means, with a variance of 1, `epsilon` included, there; return where, and how far apart."""
    row_bytes = code.plus(code.times(told["depth"], NUMBER_BYTES), PADDING_BYTES)
    vectors = code.over(told["depth"], LANES)
    with code.loop(rows) as row:
        own = code.after(numbers, code.times(row.index, told["row_bytes"]))
        to = code.after(room, code.times(row.index, row_bytes))
        mean, scale = mean_and_scale(code, own, vectors, told["epsilon"])
        with code.loop(vectors) as vector:
            at = code.times(vector.index, VECTOR_BYTES)
            away = code.let(f"fsub {FLOATS} {code.load(FLOATS, code.after(own, at))}, {mean}")
            code.store(FLOATS, code.let(f"fmul {FLOATS} {away}, {scale}"), code.after(to, at))
    return room, row_bytes


def _end(code: Function, told: dict[str, str], ending: Ending, tiles: Tiles, where: tuple[str, str, str, str]) -> None:
    """Put the sums of a tile where they belong."""
    first_row, rows, strip, sums = where
    row_numbers = code.times(told["strips"], tiles.columns)
    before = code.times(strip, tiles.columns)
    bias_at = code.after(told["bias"], code.times(before, NUMBER_BYTES))
    vectors = range(tiles.columns // LANES)
    biases = [code.load(FLOATS, code.after(bias_at, vector * VECTOR_BYTES)) for vector in vectors]
    with code.loop(rows) as row:
        own_sums = code.after(sums, code.times(row.index, tiles.step_bytes))
        number = code.plus(code.times(code.plus(first_row, row.index), row_numbers), before)
        offset = code.times(number, NUMBER_BYTES)
        result, residual = code.after(told["result"], offset), code.after(told["residual"], offset)
        for vector, bias in zip(vectors, biases, strict=True):
            total = code.load(FLOATS, code.after(own_sums, vector * VECTOR_BYTES))
            total = code.let(f"fadd {FLOATS} {total}, {bias}")
            total = ended(code, ending, total, residual, vector * VECTOR_BYTES, IN_FLOAT32)
            code.store(FLOATS, total, code.after(result, vector * VECTOR_BYTES))
