"""Assembly of self-attention: every thread takes a head at a time, and a tile of its queries at a time.

Scores of these with all keys stay in the core's cache, so that nothing has to be said twice: maximum, exponentials
and sum are of whole rows. The exponentials meet the values as they are; their sum divides the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stateless_tts.engine.machine_code._function import place, tabled
from stateless_tts.engine.machine_code._vectors import FLOATS, LANES, VECTOR_BYTES, spread
from stateless_tts.engine.units._numbers import PADDING_BYTES
from stateless_tts.engine.units._softmax import find_greatest, take_exponentials

from ._tiles import NUMBER_BYTES

if TYPE_CHECKING:
    from ._tiles import Tiles

FIELDS = {
    "next_head": "i64",
    "next_room": "i64",
    "heads": "i64",
    "frames": "i64",
    "row_bytes": "i64",
    "head_dim": "i64",
    "result_row_bytes": "i64",
    "room_bytes": "i64",
    "queries": "ptr",
    "keys": "ptr",
    "values": "ptr",
    "room": "ptr",
    "result": "ptr",
}
"""What attention is told: the next head to take, the next thread's room, heads there are, frames; bytes from a frame's
numbers to the next frame's, numbers of a head, and bytes from frame to frame in the result; bytes of the room that
each thread has for itself; where everything lies."""

_DEGREE = 5  # of the exponential: float32's rounding


def room_bytes(side: int, head_dim: int, tiles: Tiles) -> tuple[int, int]:
    """Return what a thread needs for every `side` frames, and what whatever there are.

    Keys and values of all frames, the scores of a tile's queries, and a number for each. All are whole cache lines.
    """
    of_side = side * NUMBER_BYTES * (2 * head_dim + tiles.rows)
    return of_side, (tiles.rows + 1) * PADDING_BYTES


def source(name: str, tiles: Tiles) -> str:
    """Return a function for `FIELDS`."""
    return _Attention(name, tiles).source()


class _Attention:
    """The function, and what all of its steps are told.

    A thread's room holds, one behind the other: the keys, a strip for so many frames; the values, a strip for so many
    of their numbers; the scores of a tile's queries, and a number for each: its greatest score at first, and then what
    its result is multiplied with.
    """

    def __init__(self, name: str, tiles: Tiles) -> None:
        self.tiles = tiles
        self.code, self.told = code, told = tabled(name, FIELDS)
        self.blocks = code.over(code.plus(told["frames"], tiles.columns - 1), tiles.columns)
        self.strips = code.over(told["head_dim"], tiles.columns)
        self.key_strip_bytes = code.times(told["head_dim"], tiles.step_bytes)
        self.value_strip_bytes = code.times(told["frames"], tiles.step_bytes)
        self.scores_bytes = code.plus(code.times(self.blocks, tiles.step_bytes), PADDING_BYTES)
        self.sums = code.let(f"alloca [{tiles.rows * tiles.columns} x float], align 64")

    def source(self) -> str:
        code, told, tiles = self.code, self.told, self.tiles
        own_room = code.times(code.take(place(code, FIELDS, "next_room")), told["room_bytes"])
        key_strips = code.after(told["room"], own_room)
        value_strips = code.after(key_strips, code.times(self.blocks, self.key_strip_bytes))
        scores = code.after(value_strips, code.times(self.strips, self.value_strip_bytes))
        greatest = code.after(scores, code.times(self.scores_bytes, tiles.rows))
        count = code.over(code.plus(told["frames"], tiles.rows - 1), tiles.rows)
        with code.share(place(code, FIELDS, "next_head"), told["heads"]) as head:
            offset = code.times(code.times(head, told["head_dim"]), NUMBER_BYTES)
            queries, keys, values, result = (
                code.after(told[one], offset) for one in ("queries", "keys", "values", "result")
            )
            self._arrange_keys(keys, key_strips)
            self._arrange_values(values, value_strips)
            with code.loop(count) as tile:
                first = code.times(tile.index, tiles.rows)
                rows = code.least(code.minus(told["frames"], first), tiles.rows)
                own_queries = code.after(queries, code.times(first, told["row_bytes"]))
                with code.loop(self.blocks) as block:
                    strip = code.after(key_strips, code.times(block.index, self.key_strip_bytes))
                    to = code.after(scores, code.times(block.index, tiles.step_bytes))
                    depth = told["head_dim"]
                    tiles.multiply(code, rows, own_queries, told["row_bytes"], depth, strip, to, self.scores_bytes)
                self._take_shares(rows, scores, greatest)
                own_result = code.after(result, code.times(first, told["result_row_bytes"]))
                self._mix(rows, scores, value_strips, greatest, own_result)
        return code.source()

    def _arrange_keys(self, keys: str, key_strips: str) -> None:
        """Put the keys of a head side by side, number by number; beyond the last, it is repeated."""
        code, told, tiles = self.code, self.told, self.tiles
        last = code.minus(told["frames"], 1)
        with code.loop(self.blocks) as block:
            strip = code.after(key_strips, code.times(block.index, self.key_strip_bytes))
            with code.loop(tiles.columns) as column:
                frame = code.least(code.plus(code.times(block.index, tiles.columns), column.index), last)
                key = code.after(keys, code.times(frame, told["row_bytes"]))
                to = code.after(strip, code.times(column.index, NUMBER_BYTES))
                with code.loop(told["head_dim"], to=("ptr", to)) as step:
                    number = code.load("float", code.let(f"getelementptr float, ptr {key}, i64 {step.index}"))
                    code.store("float", number, step.now["to"])
                    step.then["to"] = code.after(step.now["to"], tiles.step_bytes)

    def _arrange_values(self, values: str, value_strips: str) -> None:
        """Put some numbers of the values of a head side by side, frame by frame."""
        code, told, tiles = self.code, self.told, self.tiles
        with code.loop(self.strips) as strip:
            to = code.after(value_strips, code.times(strip.index, self.value_strip_bytes))
            own = code.after(values, code.times(strip.index, tiles.step_bytes))
            with code.loop(told["frames"], own=("ptr", own), to=("ptr", to)) as frame:
                for vector in range(tiles.columns // LANES):
                    number = code.load(FLOATS, code.after(frame.now["own"], vector * VECTOR_BYTES))
                    code.store(FLOATS, number, code.after(frame.now["to"], vector * VECTOR_BYTES))
                frame.then["own"] = code.after(frame.now["own"], told["row_bytes"])
                frame.then["to"] = code.after(frame.now["to"], tiles.step_bytes)

    def _take_shares(self, rows: str, scores: str, greatest: str) -> None:
        """Turn scores into exponentials."""
        code, vectors = self.code, self.tiles.columns // LANES

        def put(power: str, block: str, vector: int) -> None:
            code.store(FLOATS, power, code.after(block, vector * VECTOR_BYTES))

        with code.loop(rows) as row:
            own, number = self._of_row(row.index, scores, greatest)
            find_greatest(code, own, self.told["frames"], self.blocks, vectors, number)
        # In a loop of their own, lest every row waits for its maximum.
        with code.loop(rows) as row:
            own, number = self._of_row(row.index, scores, greatest)
            step_bytes = self.tiles.step_bytes
            take_exponentials(code, own, self.blocks, vectors, number, _DEGREE, put, own, step_bytes)

    def _of_row(self, row: str, scores: str, greatest: str) -> tuple[str, str]:
        """Return where a query's scores lie, and its own number."""
        return self.code.after(scores, self.code.times(row, self.scores_bytes)), self._number_of(row, greatest)

    def _number_of(self, row: str, greatest: str) -> str:
        return self.code.after(greatest, self.code.times(row, NUMBER_BYTES))

    def _mix(self, rows: str, scores: str, value_strips: str, greatest: str, result: str) -> None:
        """Multiply exponentials with all values, and divide by their sums."""
        code, told, tiles = self.code, self.told, self.tiles
        with code.loop(self.strips) as strip:
            values = code.after(value_strips, code.times(strip.index, self.value_strip_bytes))
            frames = told["frames"]
            tiles.multiply(code, rows, scores, self.scores_bytes, frames, values, self.sums, tiles.step_bytes)
            first = code.after(result, code.times(strip.index, tiles.step_bytes))
            with code.loop(rows) as row:
                inverse = spread(code, "float", code.load("float", self._number_of(row.index, greatest)))
                own_sums = code.after(self.sums, code.times(row.index, tiles.step_bytes))
                own_result = code.after(first, code.times(row.index, told["result_row_bytes"]))
                for vector in range(tiles.columns // LANES):
                    total = code.load(FLOATS, code.after(own_sums, vector * VECTOR_BYTES))
                    total = code.let(f"fmul {FLOATS} {total}, {inverse}")
                    code.store(FLOATS, total, code.after(own_result, vector * VECTOR_BYTES))
