"""What attention does to a query's scores, which are float32 side by side."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from stateless_tts.engine.machine_code._vectors import (
    FLOATS,
    LANE_NUMBERS,
    LANES,
    LOG2_E,
    VECTOR_BYTES,
    added_up,
    all_lanes,
    fma,
    maximum,
    number,
    power_of_two,
    spread,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from stateless_tts.engine.machine_code._function import Function

# Far below any, and far enough from where float32 ends to be added to.
_NO_SCORE = -1e30


def find_greatest(code: Function, scores: str, keys: str, blocks: str, vectors: int, greatest: str) -> None:
    """Put the greatest of a query's scores there.

    Beyond the last key, scores become so low that their exponentials are next to nothing, 2e-38.

    Args:
        code: where it is done.
        scores: where they lie.
        keys: how many there are.
        blocks: how many blocks they fill, the last one perhaps in part.
        vectors: of a block.
        greatest: where it is put.
    """
    last = code.times(code.minus(blocks, 1), vectors * LANES)
    for vector in range(vectors):
        at = code.after(scores, code.times(last, 4), vector * VECTOR_BYTES)
        left = spread(code, "i64", code.minus(keys, code.plus(last, vector * LANES)))
        is_key = code.let(f"icmp slt <{LANES} x i64> {LANE_NUMBERS}, {left}")
        kept = f"{FLOATS} {code.load(FLOATS, at)}, {FLOATS} {all_lanes(_NO_SCORE)}"
        code.store(FLOATS, code.let(f"select <{LANES} x i1> {is_key}, {kept}"), at)
    # A maximum of their own for all first vectors, all second ones and so on, lest each waits for the one before.
    start = {f"most{vector}": (FLOATS, all_lanes(-math.inf)) for vector in range(vectors)}
    with code.loop(blocks, at=("ptr", scores), **start) as block:
        for vector in range(vectors):
            found = code.load(FLOATS, code.after(block.now["at"], vector * VECTOR_BYTES))
            block.then[f"most{vector}"] = maximum(code, block.now[f"most{vector}"], found)
        block.then["at"] = code.after(block.now["at"], vectors * VECTOR_BYTES)
    most, *others = (block.then[name] for name in start)
    for other in others:
        most = maximum(code, most, other)
    top = code.let(f"call float @llvm.vector.reduce.fmaximum.v{LANES}f32({FLOATS} {most})")
    code.store("float", top, greatest)


def take_exponentials(
    code: Function,
    scores: str,
    blocks: str,
    vectors: int,
    greatest: str,
    degree: int,
    put: Callable[[str, str, int], None],
    to: str,
    block_bytes: int,
) -> None:
    """Turn a query's scores into exponentials, and the greatest into the inverse of their sum.

    Args:
        code: where it is done.
        scores: as in `find_greatest`.
        blocks: the same.
        vectors: the same.
        greatest: where `find_greatest` has put it.
        degree: of the exponential.
        put: puts a vector into a block: the vector, where the block lies, and the vector's number in it.
        to: where the first block of exponentials lies.
        block_bytes: from one to the next.
    """
    scaled = code.let(f"fmul float {code.load('float', greatest)}, {number(-LOG2_E)}")
    top = spread(code, "float", scaled)
    start = {"total": (FLOATS, all_lanes(0.0)), "at": ("ptr", scores), "to": ("ptr", to)}
    with code.loop(blocks, **start) as block:
        total = block.now["total"]
        for vector in range(vectors):
            score = code.load(FLOATS, code.after(block.now["at"], vector * VECTOR_BYTES))
            below = fma(code, score, all_lanes(LOG2_E), top)
            power = power_of_two(code, below, degree)
            total = code.let(f"fadd {FLOATS} {total}, {power}")
            put(power, block.now["to"], vector)
        block.then.update(
            total=total,
            at=code.after(block.now["at"], vectors * VECTOR_BYTES),
            to=code.after(block.now["to"], block_bytes),
        )
    code.store("float", code.let(f"fdiv float 1.0, {added_up(code, block.then['total'])}"), greatest)
