"""Assembly of a dense layer: every thread takes some panels of rows and multiplies them with all weights."""

from __future__ import annotations

from typing import get_args

from stateless_tts.engine.machine_code._amx import BEGIN, END
from stateless_tts.engine.machine_code._function import Function, place, tabled
from stateless_tts.engine.machine_code._vectors import FLOATS, LANES, VECTOR_BYTES
from stateless_tts.engine.units._numbers import (
    FLOAT32_ENDINGS,
    IN_FLOAT32,
    SIDE,
    Ending,
    Incoming,
    ended,
    number_bytes,
    store_numbers,
)

from . import _panels as panels

FIELDS = {
    "next_share": "i64",
    "next_room": "i64",
    "shares": "i64",
    "rows": "i64",
    "row_bytes": "i64",
    "steps": "i64",
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
bytes from one to the next; steps of the depth, in how many taps, and the bytes from one tap's numbers to the next one's
(normed rows have one); strips, which are panels of weights; bytes of the room that each thread
has for the rows of a share as panels; where everything lies; what is added to a variance, if rows are normed. Strips
and biases, residual and result lie side by side."""

INCOMING: tuple[Incoming, ...] = get_args(Incoming)


def source(name: str, incoming: Incoming, ending: Ending, parts: int) -> str:
    """Return a function for `FIELDS`. Numbers have so many parts."""
    result_parts = IN_FLOAT32 if ending in FLOAT32_ENDINGS else parts
    code, told = tabled(name, FIELDS)
    count = code.over(code.plus(told["rows"], SIDE - 1), SIDE)
    panel_bytes = code.times(told["steps"], panels.step_bytes(parts))
    panel_rows_bytes = code.times(told["row_bytes"], SIDE)
    sums = code.let(f"alloca [{SIDE * SIDE} x float], align 64")
    code.do(BEGIN)
    room = code.after(told["room"], code.times(code.take(place(code, FIELDS, "next_room")), told["room_bytes"]))
    with code.share(place(code, FIELDS, "next_share"), told["shares"]) as share:
        first, own = code.part(share, told["shares"], count)
        with code.loop(own) as turn:
            panel = code.plus(first, turn.index)
            numbers = code.after(told["numbers"], code.times(panel, panel_rows_bytes))
            to = code.after(room, code.times(turn.index, panel_bytes))
            rows = code.minus(told["rows"], code.times(panel, SIDE))
            if incoming == "normed":
                panels.make_normed(code, numbers, told["row_bytes"], rows, told["steps"], to, told["epsilon"])
            else:
                _make_taps(code, told, incoming, parts, (numbers, rows, to))
        with code.loop(told["strips"]) as strip:
            weights = code.after(told["weights"], code.times(strip.index, panel_bytes))
            with code.loop(own) as turn:
                panel = code.plus(first, turn.index)
                left = code.after(room, code.times(turn.index, panel_bytes))
                panels.multiply(code, left, weights, told["steps"], sums, str(SIDE * 4))
                _end(code, told, ending, result_parts, (panel, strip.index, sums))
    code.do(END)
    return code.source()


def _make_taps(
    code: Function, told: dict[str, str], incoming: Incoming, parts: int, where: tuple[str, str, str]
) -> None:
    """Make a panel of what each tap has of the depth, one behind the other."""
    numbers, rows, panel = where
    steps = code.over(told["steps"], told["taps"])
    tap_panel_bytes = code.times(steps, panels.step_bytes(parts))
    with code.loop(told["taps"]) as tap:
        own = code.after(numbers, code.times(tap.index, told["tap_bytes"]))
        to = code.after(panel, code.times(tap.index, tap_panel_bytes))
        panels.make(code, f"{incoming}_panel", own, told["row_bytes"], rows, steps, to)


def _end(code: Function, told: dict[str, str], ending: Ending, result_parts: int, where: tuple[str, str, str]) -> None:
    """Put the sums of a panel and a strip where they belong."""
    panel, strip, sums = where
    outputs = code.times(told["strips"], SIDE)
    before = code.times(strip, SIDE)
    bias_at = code.after(told["bias"], code.times(before, 4))
    biases = [code.load(FLOATS, code.after(bias_at, vector * VECTOR_BYTES)) for vector in range(SIDE // LANES)]
    first_row = code.times(panel, SIDE)
    rows = code.least(code.minus(told["rows"], first_row), SIDE)
    with code.loop(rows) as row:
        own_sums = code.after(sums, code.times(row.index, SIDE * 4))
        number = code.plus(code.times(code.plus(first_row, row.index), outputs), before)
        result = code.after(told["result"], code.times(number, number_bytes(result_parts)))
        residual = code.after(told["residual"], code.times(number, 4))
        for vector, bias in enumerate(biases):
            total = code.load(FLOATS, code.after(own_sums, vector * VECTOR_BYTES))
            total = code.let(f"fadd {FLOATS} {total}, {bias}")
            total = ended(code, ending, total, residual, vector * VECTOR_BYTES, result_parts)
            at = code.after(result, vector * LANES * number_bytes(result_parts))
            store_numbers(code, total, at, result_parts)
