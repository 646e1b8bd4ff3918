"""Attention of a step's rows in one kernel: each row's query over the keys of its own request, wherever these lie.

torch's own operation is called for every request in every layer, and each call has its costs. What a row gets depends
on its own query, keys and values alone, whoever else is there and however many threads there are.
"""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, ClassVar, TypeVar

import torch

from stateless_tts.engine.machine_code._chain import Call, Told, float_bits
from stateless_tts.engine.machine_code._function import FETCH, Function, place, tabled
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features
from stateless_tts.engine.machine_code._vectors import (
    DECLARATIONS,
    FLOATS,
    LANES,
    LOG2_E,
    VECTOR_BYTES,
    added_up,
    all_lanes,
    fma,
    has_wide_vectors,
    number,
    power_of_two,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

logger = logging.getLogger(__name__)

_Value = TypeVar("_Value", int, Told)

_DEGREE = 5  # of the exponential: float32's rounding
# How far ahead of what is read keys and values are fetched: farther than a page, which the CPU itself does not.
_FETCH_AHEAD_BYTES = 8 * 1024
_NUMBER_BYTES = 4
_PART_BYTES = 32
_PART = f"<{_PART_BYTES} x i8>"
_HEADS = {
    "next_head": "i64",
    "next_room": "i64",
    "all_heads": "i64",
    "heads": "i64",
    "queries": "ptr",
    "keys": "ptr",
    "values": "ptr",
    "attended": "ptr",
    "places": "ptr",
    "behind": "ptr",
    "capacities": "ptr",
    "lengths": "ptr",
    "room": "ptr",
    "room_bytes": "i64",
    "scale": "float",
}
"""What is told: the next head of all rows to take, the next thread's room, heads of all rows and of one; where queries,
new keys and values, and the result lie, each (rows, heads, head_dim) side by side; for each row, where its keys lie,
how many elements behind them its values do, tokens that a head has room for, and tokens there; room for the scores of
each thread, and its bytes; what the scores are multiplied with."""


class StepAttention:
    """Attention of single queries in float32, on a CPU with AVX2.

    Args:
        head_dim: numbers of a head, a multiple of 16.
        features: of the CPU, as LLVM names them.

    Attributes:
        dtype: of queries, keys and values.
        exponential_of: 1 where the exponential is that of e; of another base, the logarithm of e to it.

    Raises:
        ValueError: heads are of another size.
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    dtype: ClassVar[torch.dtype] = torch.float32
    exponential_of: ClassVar[float] = LOG2_E

    def __init__(self, head_dim: int, features: dict[str, bool]) -> None:
        if head_dim % LANES:
            raise ValueError(f"head_dim={head_dim}: expected a multiple of {LANES}")
        self._head_dim = head_dim
        self._code = MachineCode(self.source(head_dim), {"attend": _HEADS}, features)

    @staticmethod
    def source(head_dim: int) -> str:
        """Return LLVM assembly for the function `attend`, of heads of so many numbers."""
        return "\n".join([DECLARATIONS, FETCH, _source(head_dim // LANES)])

    def attend(
        self,
        queries: torch.Tensor,
        keys_values: torch.Tensor,
        addresses: torch.Tensor,
        pasts: Sequence[torch.Tensor],
        scale: float,
    ) -> torch.Tensor:
        """Put every row's key and value into its cache, and return what its query attends to; zeros for padding.

        Args:
            queries: of shape (rows, heads, 1, head_dim) and the kernel's dtype, on the CPU.
            keys_values: of shape (2, rows, heads, 1, head_dim) and the same dtype.
            addresses: as `RowTable` tells whoever attends.
            pasts: the same.
            scale: the same.

        Raises:
            ValueError: queries are of another dtype, size or device.
        """
        _, heads, _, head_dim = queries.shape
        if queries.dtype is not self.dtype or head_dim != self._head_dim or queries.device.type != "cpu":
            found = f"{queries.dtype}, {head_dim} numbers each, on {queries.device}"
            raise ValueError(f"heads of {found}: expected {self.dtype} and {self._head_dim}, on the CPU")
        queries, keys_values = queries.contiguous(), keys_values.contiguous()
        attended = torch.zeros_like(queries)
        behind, capacities, lengths = pasts
        threads, longest = torch.get_num_threads(), int(lengths.max())
        room = self.room(threads, longest)
        values = self._heads(
            heads,
            scale,
            all_heads=int((lengths >= 0).sum()) * heads,
            queries=queries.data_ptr(),
            keys=keys_values[0].data_ptr(),
            values=keys_values[1].data_ptr(),
            attended=attended.data_ptr(),
            places=addresses.data_ptr(),
            behind=behind.data_ptr(),
            capacities=capacities.data_ptr(),
            lengths=lengths.data_ptr(),
            room=room.data_ptr(),
            room_bytes=room.nbytes // threads,
        )
        self._code.run("attend", values, threads)
        return attended

    def room(self, threads: int, longest: int) -> torch.Tensor:
        """Return room for so many threads, where the longest past is of so many tokens."""
        return torch.empty(threads, (longest // LANES + 2) * VECTOR_BYTES, dtype=torch.uint8, device="cpu")

    def call(
        self,
        layer: int,
        heads: int,
        line_bytes: int,
        scale: float,
        *,
        queries: Told,
        keys: Told,
        values: Told,
        attended: Told,
    ) -> Call:
        """Return `attend` as a call of a chain, which is told what `RowTable.told` returns, `room` and its bytes.

        Args:
            layer: index of the layer.
            heads: of a row.
            line_bytes: as `RowTable` has them.
            scale: as `attend` is told.
            queries: where rows of heads lie.
            keys: the same.
            values: the same.
            attended: where the result goes; that of padding is not written.
        """
        told = {name: Told(name) for name in ("behind", "capacities", "lengths", "room", "room_bytes")}
        told |= {"all_heads": Told("own_rows", heads), "places": Told("places", plus=layer * line_bytes)}
        told |= {"queries": queries, "keys": keys, "values": values, "attended": attended}
        return Call(self._code, "attend", self._heads(heads, scale, **told))

    def _heads(self, heads: int, scale: float, **values: _Value) -> dict[str, int | _Value]:
        """Return the kernel's table, of which some values may be told later."""
        scale_bits = float_bits(scale * self.exponential_of)
        return {"next_head": 0, "next_room": 0, "heads": heads, "scale": scale_bits, **values}


@cache
def step_attention(head_dim: int) -> StepAttention | None:
    """Return the kernel for heads of this size, or None where it cannot be had.

    It takes AVX2, and an OpenMP under torch that has GNU's entry points.
    """
    try:
        features = cpu_features()
        can = head_dim % LANES == 0 and has_wide_vectors(features)
        return StepAttention(head_dim, features) if can else None
    except (RuntimeError, OSError) as error:
        logger.info("no attention of steps in machine code on this machine: %s", error)
        return None


@dataclass(frozen=True)
class Head:
    """One head of one row.

    Attributes:
        query: where it lies.
        keys: where its keys begin, the new one among them.
        values: where its values do.
        tokens: how many keys there are.
        attended: where the result goes.
        room: for the scores, this thread's own.
    """

    query: str
    keys: str
    values: str
    tokens: str
    attended: str
    room: str


@contextmanager
def each_head(head_bytes: int, number_bytes: int) -> Iterator[tuple[Function, str, Head]]:
    """Write a function `attend` for `_HEADS`: every thread does what is written inside for one head after the other.

    A head's new key and value have been put where they belong.

    Yields:
        The function; what scores are multiplied with; and the head.
    """
    code, told = tabled("attend", _HEADS)
    own_room = code.take(place(code, _HEADS, "next_room"))
    room = code.after(told["room"], code.times(own_room, told["room_bytes"]))
    with code.share(place(code, _HEADS, "next_head"), told["all_heads"]) as head:
        row = code.over(head, told["heads"])
        own = _of_row(code, told, row)
        head_in_row = code.minus(head, code.times(row, told["heads"]))
        first = code.let(f"inttoptr i64 {own['places']} to ptr")
        keys = code.after(first, code.times(head_in_row, code.times(own["capacities"], head_bytes)))
        values = code.after(keys, code.times(own["behind"], number_bytes))
        at = code.times(head, head_bytes)
        new = code.times(own["lengths"], head_bytes)
        for past, name in ((keys, "keys"), (values, "values")):
            for begin in range(0, head_bytes, _PART_BYTES):
                part = code.load(_PART, code.after(told[name], at, begin))
                code.store(_PART, part, code.after(past, new, begin))
        query, attended = (code.after(told[name], at) for name in ("queries", "attended"))
        yield code, told["scale"], Head(query, keys, values, code.plus(own["lengths"], 1), attended, room)


def _source(vectors: int) -> str:
    """Return the function over heads of so many vectors."""
    with each_head(vectors * VECTOR_BYTES, _NUMBER_BYTES) as (code, scale, head):
        everywhere = spread(code, "float", scale)
        query = [code.let(f"fmul {FLOATS} {one}, {everywhere}") for one in _loaded(code, head.query, vectors)]
        largest = _scores(code, query, head.keys, head.tokens, head.room)
        total = _weights(code, head.tokens, head.room, largest)
        for index, vector in enumerate(_weighted(code, vectors, head.values, head.tokens, head.room)):
            result = code.let(f"fdiv {FLOATS} {vector}, {total}")
            code.store(FLOATS, result, code.after(head.attended, index * VECTOR_BYTES))
    return code.source()


def _of_row(code: Function, told: Mapping[str, str], row: str) -> dict[str, str]:
    """Return what is told of one row."""
    at = code.times(row, 8)
    names = ("places", "behind", "capacities", "lengths")
    return {name: code.load("i64", code.after(told[name], at)) for name in names}


def _loaded(code: Function, pointer: str, vectors: int) -> list[str]:
    return [code.load(FLOATS, code.after(pointer, index * VECTOR_BYTES)) for index in range(vectors)]


def _fetched(code: Function, pointer: str, vectors: int) -> list[str]:
    """Load some vectors of many that follow each other, and ask for those that come later."""
    ahead = code.after(pointer, _FETCH_AHEAD_BYTES)
    for index in range(vectors):
        code.do(f"call void @llvm.prefetch.p0(ptr {code.after(ahead, index * VECTOR_BYTES)}, i32 0, i32 3, i32 1)")
    return _loaded(code, pointer, vectors)


def _scores(code: Function, query: list[str], keys: str, tokens: str, scores: str) -> str:
    """Put the products of a query with each key side by side, and minus infinity after them; return the largest."""
    last = code.times(tokens, _NUMBER_BYTES)
    code.store(FLOATS, all_lanes(-math.inf), code.after(scores, last))
    with code.loop(tokens, key=("ptr", keys), largest=("float", number(-math.inf))) as turn:
        own = _fetched(code, turn.now["key"], len(query))
        total = code.let(f"fmul {FLOATS} {query[0]}, {own[0]}")
        for one, other in zip(query[1:], own[1:], strict=True):
            total = fma(code, one, other, total)
        score = added_up(code, total)
        code.store("float", score, code.after(scores, code.times(turn.index, _NUMBER_BYTES)))
        greater = code.let(f"fcmp ugt float {score}, {turn.now['largest']}")  # NaN stays
        turn.then["largest"] = code.let(f"select i1 {greater}, float {score}, float {turn.now['largest']}")
        turn.then["key"] = code.after(turn.now["key"], len(query) * VECTOR_BYTES)
    return spread(code, "float", turn.then["largest"])


def _weights(code: Function, tokens: str, scores: str, largest: str) -> str:
    """Make weights of scores, where they are; return their sum, in every lane."""
    with code.loop(code.over(code.plus(tokens, LANES - 1), LANES), total=(FLOATS, all_lanes(0.0))) as turn:
        at = code.after(scores, code.times(turn.index, VECTOR_BYTES))
        away = code.let(f"fsub {FLOATS} {code.load(FLOATS, at)}, {largest}")
        weight = power_of_two(code, away, _DEGREE)
        there = code.let(f"fcmp une {FLOATS} {away}, {all_lanes(-math.inf)}")  # after the last, and below float32
        weight = code.let(f"select <{LANES} x i1> {there}, {FLOATS} {weight}, {FLOATS} {all_lanes(0.0)}")
        code.store(FLOATS, weight, at)
        turn.then["total"] = code.let(f"fadd {FLOATS} {turn.now['total']}, {weight}")
    return spread(code, "float", added_up(code, turn.then["total"]))


def _weighted(code: Function, vectors: int, values: str, tokens: str, scores: str) -> list[str]:
    """Return the sum of each value times its weight."""
    sums = {f"sum{index}": (FLOATS, all_lanes(0.0)) for index in range(vectors)}
    with code.loop(tokens, value=("ptr", values), **sums) as turn:
        weight = spread(code, "float", code.load("float", code.after(scores, code.times(turn.index, _NUMBER_BYTES))))
        for index, vector in enumerate(_fetched(code, turn.now["value"], vectors)):
            turn.then[f"sum{index}"] = fma(code, weight, vector, turn.now[f"sum{index}"])
        turn.then["value"] = code.after(turn.now["value"], vectors * VECTOR_BYTES)
    return [turn.then[f"sum{index}"] for index in range(vectors)]
