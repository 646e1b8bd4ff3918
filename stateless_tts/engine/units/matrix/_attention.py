"""Assembly of self-attention: every thread takes a head at a time, and 32 queries of it at a time.

Scores of 32 queries with all keys stay in the core's cache, so that nothing has to be said twice: maximum, exponentials
and sum are of whole rows. The exponentials meet the values as they are; their sum divides the result.
"""

from __future__ import annotations

from stateless_tts.engine.machine_code._amx import BEGIN, END, REGISTER_BYTES
from stateless_tts.engine.machine_code._function import place, tabled
from stateless_tts.engine.machine_code._vectors import (
    FLOATS,
    HALVES,
    LANES,
    VECTOR_BYTES,
    in_bfloat16,
    spread,
)
from stateless_tts.engine.units._numbers import PADDING_BYTES, SIDE, number_bytes, store_numbers
from stateless_tts.engine.units._softmax import find_greatest, take_exponentials

from . import _panels as panels

FIELDS = {
    "next_head": "i64",
    "next_room": "i64",
    "heads": "i64",
    "frames": "i64",
    "row_bytes": "i64",
    "head_bytes": "i64",
    "result_row_bytes": "i64",
    "steps": "i64",
    "blocks": "i64",
    "room_bytes": "i64",
    "queries": "ptr",
    "keys": "ptr",
    "values": "ptr",
    "room": "ptr",
    "result": "ptr",
}
"""What attention is told: the next head to take, the next thread's room, heads there are, frames; bytes from a frame's
numbers to the next frame's, and from a head's to the next head's, in what comes and in the result; steps of a head's
numbers and blocks of 32 frames; bytes of the room that each thread has for itself; where everything lies."""


# Of exponentials, by the parts of a number, which leave out as much as these do.
_DEGREES = {1: 3, 2: 4}
_VECTORS = SIDE // LANES


def room_bytes(steps: int, parts: int) -> tuple[int, int]:
    """Return what a thread needs for every block of 32 frames, and what whatever there are.

    Keys, values and exponentials are panels as long as there are frames, and queries one; scores have a row and a
    number for each of 32 queries.
    """
    of_block = (2 * steps + 1) * panels.step_bytes(parts) + SIDE * SIDE * 4
    always = steps * panels.step_bytes(parts) + SIDE * (PADDING_BYTES + 4)
    return of_block, always


def source(name: str, parts: int) -> str:
    """Return a function for `FIELDS`. All numbers have so many parts."""
    return _Attention(name, parts).source()


class _Attention:
    """The function, and what all of its steps are told.

    A thread's room holds, one behind the other: the keys, a panel for every block of frames; the values, a panel for
    every 32 of their numbers; a block of queries; its exponentials; its scores, and a number for each query: its
    greatest score at first, and then what its result is multiplied with.
    """

    def __init__(self, name: str, parts: int) -> None:
        self.parts = parts
        self.code, self.told = code, told = tabled(name, FIELDS)
        self.head_panel_bytes = code.times(told["steps"], panels.step_bytes(parts))
        self.frames_panel_bytes = code.times(told["blocks"], panels.step_bytes(parts))
        self.scores_bytes = code.plus(code.times(told["blocks"], SIDE * 4), PADDING_BYTES)
        self.sums = code.let(f"alloca [{SIDE * SIDE} x float], align 64")

    def source(self) -> str:
        code, told = self.code, self.told
        code.do(BEGIN)
        key_panels = code.after(
            told["room"], code.times(code.take(place(code, FIELDS, "next_room")), told["room_bytes"])
        )
        with code.share(place(code, FIELDS, "next_head"), told["heads"]) as head:
            offset = code.times(head, told["head_bytes"])
            queries, keys, values, result = (
                code.after(told[one], offset) for one in ("queries", "keys", "values", "result")
            )
            value_panels = code.after(key_panels, code.times(told["blocks"], self.head_panel_bytes))
            query_panel = code.after(value_panels, code.times(told["steps"], self.frames_panel_bytes))
            shares_panel = code.after(query_panel, self.head_panel_bytes)
            scores = code.after(shares_panel, self.frames_panel_bytes)
            self._arrange(keys, key_panels, values, value_panels)
            with code.loop(told["blocks"]) as block:
                self._block_of_frames("own_panel", queries, block.index, query_panel)
                rows = code.least(code.minus(told["frames"], code.times(block.index, SIDE)), SIDE)
                self._score(query_panel, key_panels, scores)
                self._take_shares(rows, scores, shares_panel)
                own_result = code.after(result, code.times(code.times(block.index, SIDE), told["result_row_bytes"]))
                self._mix(rows, shares_panel, value_panels, scores, own_result)
        code.do(END)
        return code.source()

    def _arrange(self, keys: str, key_panels: str, values: str, value_panels: str) -> None:
        """Make panels of all keys and values of a head."""
        code, told = self.code, self.told
        with code.loop(told["blocks"]) as block:
            panel = code.after(key_panels, code.times(block.index, self.head_panel_bytes))
            self._block_of_frames("transposed_panel", keys, block.index, panel)
        with code.loop(told["steps"]) as strip:
            columns = code.after(values, code.times(strip.index, SIDE * number_bytes(self.parts)))
            panel = code.after(value_panels, code.times(strip.index, self.frames_panel_bytes))
            panels.make(code, "columns_panel", columns, told["row_bytes"], told["frames"], told["blocks"], panel)

    def _block_of_frames(self, function: str, numbers: str, block: str, panel: str) -> None:
        """Make a panel of a block of frames."""
        code, told = self.code, self.told
        first = code.times(block, SIDE)
        own = code.after(numbers, code.times(first, told["row_bytes"]))
        rows = code.minus(told["frames"], first)
        panels.make(code, function, own, told["row_bytes"], rows, told["steps"], panel)

    def _score(self, query_panel: str, key_panels: str, scores: str) -> None:
        """Multiply a block of queries with all keys."""
        code, told = self.code, self.told
        with code.loop(told["blocks"]) as block:
            keys = code.after(key_panels, code.times(block.index, self.head_panel_bytes))
            own_scores = code.after(scores, code.times(block.index, SIDE * 4))
            panels.multiply(code, query_panel, keys, told["steps"], own_scores, self.scores_bytes)

    def _take_shares(self, rows: str, scores: str, shares_panel: str) -> None:
        """Turn scores into exponentials."""
        code = self.code
        with code.loop(rows) as row:
            own_scores = code.after(scores, code.times(row.index, self.scores_bytes))
            self._find_greatest(own_scores, self._number_of(scores, row.index))
        # In a loop of their own, lest every row waits for its maximum.
        with code.loop(rows) as row:
            own_scores = code.after(scores, code.times(row.index, self.scores_bytes))
            own_shares = panels.row_of_panel(code, shares_panel, row.index, self.parts)
            self._exponentials(own_scores, own_shares, self._number_of(scores, row.index))

    def _number_of(self, scores: str, row: str) -> str:
        """Return where a query's own number lies."""
        code = self.code
        return code.after(scores, code.times(self.scores_bytes, SIDE), code.times(row, 4))

    def _find_greatest(self, scores: str, greatest: str) -> None:
        """Keep the greatest of a query's scores."""
        find_greatest(self.code, scores, self.told["frames"], self.told["blocks"], _VECTORS, greatest)

    def _exponentials(self, scores: str, panel: str, greatest: str) -> None:
        """Turn a query's scores into a row of exponentials, and the greatest into the inverse of their sum."""
        code = self.code

        def put(power: str, block: str, vector: int) -> None:
            for part, one in enumerate(in_bfloat16(code, power, self.parts)):
                at = code.after(block, part * REGISTER_BYTES + vector * VECTOR_BYTES // 2)
                code.store(HALVES, one, at)

        take_exponentials(
            *(code, scores, self.told["blocks"], _VECTORS, greatest, _DEGREES[self.parts]),
            *(put, panel, panels.step_bytes(self.parts)),
        )

    def _mix(self, rows: str, shares_panel: str, value_panels: str, scores: str, result: str) -> None:
        """Multiply a block's exponentials with all values, and divide by their sums."""
        code, told = self.code, self.told
        with code.loop(told["steps"]) as strip:
            values = code.after(value_panels, code.times(strip.index, self.frames_panel_bytes))
            panels.multiply(code, shares_panel, values, told["blocks"], self.sums, str(SIDE * 4))
            first = code.after(result, code.times(strip.index, SIDE * number_bytes(self.parts)))
            with code.loop(rows) as row:
                inverse = spread(code, "float", code.load("float", self._number_of(scores, row.index)))
                own_sums = code.after(self.sums, code.times(row.index, SIDE * 4))
                own_result = code.after(first, code.times(row.index, told["result_row_bytes"]))
                for vector in range(_VECTORS):
                    total = code.load(FLOATS, code.after(own_sums, vector * VECTOR_BYTES))
                    total = code.let(f"fmul {FLOATS} {total}, {inverse}")
                    at = code.after(own_result, vector * LANES * number_bytes(self.parts))
                    store_numbers(code, total, at, self.parts)
