"""Attention of a step's rows in one kernel with torch's bits, on a CPU whose torch has no oneDNN for bfloat16.

Torch attends in float32 and rounds weights and results (aten/native/cpu/FlashAttentionKernel.cpp). What MKL adds up for
it is in an order that was read off its results (torch 2.6, MKL 2024.2, a CPU with AVX2 alone): a score is of four sums,
of every fourth number, then halves of these; values are added four at a time, halves of four first, and the last ones,
that are no four, one by one from the end. Products of two bfloat16 are exact in float32.

Other MKLs, and others' CPUs, may add up otherwise: whoever is given the kernel has seen it compared with torch.
"""

from __future__ import annotations

import logging
import math
from functools import cache, partial
from typing import TYPE_CHECKING, ClassVar

import torch
from torch.nn import functional

from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.engine.chains._step_attention import StepAttention, each_head
from stateless_tts.engine.machine_code._translation import cpu_features, torchs_function
from stateless_tts.engine.machine_code._vectors import (
    LANES,
    all_lanes,
    all_words,
    declared_fma,
    fma,
    has_wide_vectors,
    maximum,
    narrowed,
    number,
    polynomial,
    rounded,
    spread,
    widened,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stateless_tts.engine.machine_code._function import Function

logger = logging.getLogger(__name__)

_NUMBER_BYTES = 2
_FLOAT_BYTES = 4
_BLOCK = 512  # keys that torch takes at a time
_FOUR = 4
_FOURS = f"<{_FOUR} x float>"
_EIGHT = 8
_EIGHTS = f"<{_EIGHT} x float>"
_EIGHT_WORDS = f"<{_EIGHT} x i32>"
# Torch's fast exponential of float32 (`exp_u20` of aten/src/ATen/cpu/vec/vec256/vec256_float.h): coefficients of its
# polynomial, the constant first, and the least exponent that it takes, that of the smallest normal number. Of fewer
# than eight numbers, torch takes the C library's.
_POLYNOMIAL = (1.0, 0.999999701, 0.499991506, 0.166676521, 0.0418978221, 0.00828929059)
_LEAST_EXPONENT = math.log(2.0**-126)
_EXPONENT_BIAS = 127
_MANTISSA_BITS = 23
# Pasts that the kernel is compared with torch over: what is left of fours and eights, and of blocks.
_TRIED = (*range(1, 41), 100, 151, *range(255, 258), *range(383, 386), *range(509, 521), *range(1023, 1027))
_TRIED_ROWS, _TRIED_HEADS = 2, 8
_TRIED_SIZE = 2.0**20


class TorchAttention(StepAttention):
    """Attention of single queries in bfloat16, on a CPU with AVX2; as `StepAttention`."""

    dtype: ClassVar[torch.dtype] = torch.bfloat16
    exponential_of: ClassVar[float] = 1.0

    @staticmethod
    def source(head_dim: int) -> str:
        """Return LLVM assembly for the function `attend`, of heads of so many numbers."""
        return "\n".join([declared_fma(_FOUR), declared_fma(_EIGHT), _DECLARATIONS, _attend(head_dim)])


_DECLARATIONS = f"""
declare float @llvm.fma.f32(float, float, float)
declare {_EIGHTS} @llvm.floor.v{_EIGHT}f32({_EIGHTS})
declare {_EIGHT_WORDS} @llvm.fptosi.sat.v{_EIGHT}i32.v{_EIGHT}f32({_EIGHTS})
"""


@cache
def torch_attention(head_dim: int) -> TorchAttention | None:
    """Return the kernel for heads of this size, or None where it has not torch's bits or cannot be had."""
    features = cpu_features()
    if head_dim % LANES or not has_wide_vectors(features) or has_onednn_bfloat16():
        return None
    try:
        kernel = TorchAttention(head_dim, features)
    except (RuntimeError, OSError) as error:
        logger.info("no attention of steps in machine code on this machine: %s", error)
        return None
    if not _is_torchs(kernel, head_dim):
        logger.info("attention of steps in machine code has not torch's bits on this machine")
        return None
    return kernel


@torch.inference_mode()
def _is_torchs(kernel: TorchAttention, head_dim: int) -> bool:
    """Whether the kernel has torch's bits, of made-up heads in which the order of addition shows.

    The first half of the heads have queries of zeros: all weights are 1, and values nearly cancel each other. The
    others' scores are small sums of large products, whose rounding they show.
    """
    rows, heads, most = _TRIED_ROWS, _TRIED_HEADS, max(_TRIED)
    noise = torch.Generator(device="cpu").manual_seed(head_dim)

    def drawn(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=noise, device="cpu")

    large, small = head_dim // 2 - 2, head_dim - 2 * (head_dim // 2 - 2)
    order = torch.randperm(head_dim, generator=noise, device="cpu")
    halves, rest = drawn(rows, heads, 1, large), drawn(rows, heads, 1, small)
    queries = torch.cat([halves, halves, rest], dim=-1)[..., order].bfloat16()
    queries[:, : heads // 2] = 0
    halves = _TRIED_SIZE * drawn(rows, heads, most, large)
    keys = torch.cat([halves, -halves, drawn(rows, heads, most, small)], dim=-1)[..., order]
    values = drawn(rows, heads, most, head_dim) * torch.exp2(2 * drawn(rows, heads, most, head_dim))
    past = torch.stack([keys, values], dim=1).bfloat16()  # as a cache has them
    addresses = torch.tensor([one.data_ptr() for one in past[:, 0]])
    behind, capacities = (torch.full((rows,), count) for count in (heads * most * head_dim, most))
    scale = head_dim**-0.5
    for tokens in sorted(_TRIED, reverse=True):  # what is written is behind what is read next
        key, before = past[:, 0, :, tokens - 1 : tokens], past[:, 1, :, : tokens - 1]
        new = torch.stack([key, -before.sum(dim=2, keepdim=True)])
        found = kernel.attend(queries, new, addresses, (behind, capacities, torch.full((rows,), tokens - 1)), scale)
        read = past[:, :, :, :tokens]
        if not torch.equal(
            found, functional.scaled_dot_product_attention(queries, read[:, 0], read[:, 1], scale=scale)
        ):
            return False
    return True


def _attend(head_dim: int) -> str:
    vectors = range(head_dim // _EIGHT)
    nothing = {f"sum{index}": (_EIGHTS, "zeroinitializer") for index in vectors}
    with each_head(head_dim * _NUMBER_BYTES, _NUMBER_BYTES) as (code, scale, head):
        query = [
            widened(code, code.after(head.query, part * _FOUR * _NUMBER_BYTES), _FOUR)
            for part in range(head_dim // _FOUR)
        ]
        blocks = code.over(code.plus(head.tokens, _BLOCK - 1), _BLOCK)
        start = {"largest": ("float", number(-math.inf)), "total": ("float", number(0.0)), **nothing}
        with code.loop(blocks, **start) as block:
            first = code.times(block.index, _BLOCK)
            tokens = code.least(code.minus(head.tokens, first), _BLOCK)
            keys, values = (
                code.after(past, code.times(first, head_dim * _NUMBER_BYTES)) for past in (head.keys, head.values)
            )
            _scores(code, query, keys, tokens, head.room)
            largest = _scaled(code, scale, tokens, head.room, block.now["largest"])
            before = code.let(f"fsub float {block.now['largest']}, {largest}")
            kept = _librarys_exponential(code, before)
            own = _weights(code, largest, tokens, head.room)
            block.then["largest"] = largest
            block.then["total"] = _scalar_fma(code, kept, block.now["total"], own)
            everywhere = spread(code, "float", kept, _EIGHT)
            sums = [code.let(f"fmul {_EIGHTS} {block.now[f'sum{index}']}, {everywhere}") for index in vectors]
            for index, vector in enumerate(_weighted(code, sums, values, tokens, head.room)):
                block.then[f"sum{index}"] = vector
        inverse = spread(code, "float", code.let(f"fdiv float 1.0, {block.then['total']}"), _EIGHT)
        for index in vectors:
            result = code.let(f"fmul {_EIGHTS} {block.then[f'sum{index}']}, {inverse}")
            at = code.after(head.attended, index * _EIGHT * _NUMBER_BYTES)
            code.store(f"<{_EIGHT} x i16>", narrowed(code, result, _EIGHT), at)
    return code.source()


def _scores(code: Function, query: Sequence[str], keys: str, tokens: str, scores: str) -> None:
    """Put the products of a query with each key side by side."""
    key_bytes = len(query) * _FOUR * _NUMBER_BYTES
    fours = code.over(tokens, _FOUR)
    with code.any_times(fours) as turn:
        of_four = code.after(keys, code.times(turn.index, _FOUR * key_bytes))
        sums = _dots(code, query, [code.after(of_four, place * key_bytes) for place in range(_FOUR)])
        code.store(_FOURS, _side_by_side(code, sums), code.after(scores, code.times(turn.index, _FOUR * _FLOAT_BYTES)))
    done = code.times(fours, _FOUR)
    with code.any_times(code.minus(tokens, done)) as turn:
        token = code.plus(done, turn.index)
        (score,) = _dots(code, query, [code.after(keys, code.times(token, key_bytes))])
        code.store("float", score, code.after(scores, code.times(token, _FLOAT_BYTES)))


def _dots(code: Function, query: Sequence[str], keys: Sequence[str]) -> list[str]:
    sums = ["zeroinitializer"] * len(keys)
    for part, of_query in enumerate(query):
        for place, key in enumerate(keys):
            own = widened(code, code.after(key, part * _FOUR * _NUMBER_BYTES), _FOUR)
            sums[place] = fma(code, own, of_query, sums[place], _FOUR)
    return [_halves_added(code, one, _FOUR) for one in sums]


def _scaled(code: Function, scale: str, tokens: str, scores: str, so_far: str) -> str:
    """Scale the scores where they are; return the largest of them and the one so far."""
    eights = code.over(tokens, _EIGHT)
    everywhere, first = spread(code, "float", scale, _EIGHT), spread(code, "float", so_far, _EIGHT)
    with code.any_times(eights, largest=(_EIGHTS, first)) as turn:
        at = code.after(scores, code.times(turn.index, _EIGHT * _FLOAT_BYTES))
        score = code.let(f"fmul {_EIGHTS} {code.load(_EIGHTS, at)}, {everywhere}")
        code.store(_EIGHTS, score, at)
        turn.then["largest"] = maximum(code, turn.now["largest"], score, _EIGHT)
    largest = code.let(f"extractelement {_EIGHTS} {turn.now['largest']}, i32 0")
    for lane in range(1, _EIGHT):
        other = code.let(f"extractelement {_EIGHTS} {turn.now['largest']}, i32 {lane}")
        largest = _greater(code, other, largest)
    done = code.times(eights, _EIGHT)
    with code.any_times(code.minus(tokens, done), largest=("float", largest)) as turn:
        at = code.after(scores, code.times(code.plus(done, turn.index), _FLOAT_BYTES))
        score = code.let(f"fmul float {code.load('float', at)}, {scale}")
        code.store("float", score, at)
        turn.then["largest"] = _greater(code, score, turn.now["largest"])
    return turn.now["largest"]


def _weights(code: Function, largest: str, tokens: str, scores: str) -> str:
    """Make weights of scores, rounded to bfloat16, where they are; return their sum before that."""
    eights = code.over(tokens, _EIGHT)
    everywhere = spread(code, "float", largest, _EIGHT)
    with code.any_times(eights, total=(_EIGHTS, "zeroinitializer")) as turn:
        at = code.after(scores, code.times(turn.index, _EIGHT * _FLOAT_BYTES))
        weight = _exponential(code, code.let(f"fsub {_EIGHTS} {code.load(_EIGHTS, at)}, {everywhere}"))
        turn.then["total"] = code.let(f"fadd {_EIGHTS} {turn.now['total']}, {weight}")
        code.store(_EIGHTS, rounded(code, weight, _EIGHT), at)
    total = _halves_added(code, turn.now["total"], _EIGHT)
    done = code.times(eights, _EIGHT)
    with code.any_times(code.minus(tokens, done), total=("float", total)) as turn:
        at = code.after(scores, code.times(code.plus(done, turn.index), _FLOAT_BYTES))
        away = code.let(f"fsub float {code.load('float', at)}, {largest}")
        weight = _librarys_exponential(code, away)
        turn.then["total"] = code.let(f"fadd float {turn.now['total']}, {weight}")
        alone = rounded(code, code.let(f"insertelement <1 x float> poison, float {weight}, i32 0"), 1)
        code.store("<1 x float>", alone, at)
    return turn.now["total"]


def _weighted(code: Function, sums: Sequence[str], values: str, tokens: str, weights: str) -> list[str]:
    """Return the sums, to which each value times its weight has been added."""
    value_bytes = len(sums) * _EIGHT * _NUMBER_BYTES
    fours = code.over(tokens, _FOUR)
    with code.any_times(fours, **_carried(sums)) as turn:
        first = code.after(values, code.times(turn.index, _FOUR * value_bytes))
        at = code.after(weights, code.times(turn.index, _FOUR * _FLOAT_BYTES))
        of_four = [
            spread(code, "float", code.load("float", code.after(at, place * _FLOAT_BYTES)), _EIGHT)
            for place in range(_FOUR)
        ]
        for index in range(len(sums)):
            one, two, three, four = (
                widened(code, code.after(first, place * value_bytes, index * _EIGHT * _NUMBER_BYTES), _EIGHT)
                for place in range(_FOUR)
            )
            pairs = [
                fma(code, later, of_four[place + 2], code.let(f"fmul {_EIGHTS} {sooner}, {of_four[place]}"), _EIGHT)
                for place, (sooner, later) in enumerate(((one, three), (two, four)))
            ]
            both = code.let(f"fadd {_EIGHTS} {pairs[0]}, {pairs[1]}")
            turn.then[f"sum{index}"] = code.let(f"fadd {_EIGHTS} {turn.now[f'sum{index}']}, {both}")
    sums = [turn.now[f"sum{index}"] for index in range(len(sums))]
    with code.any_times(code.minus(tokens, code.times(fours, _FOUR)), **_carried(sums)) as turn:
        token = code.minus(code.minus(tokens, 1), turn.index)
        weight = code.load("float", code.after(weights, code.times(token, _FLOAT_BYTES)))
        everywhere, own = spread(code, "float", weight, _EIGHT), code.after(values, code.times(token, value_bytes))
        for index in range(len(sums)):
            value = widened(code, code.after(own, index * _EIGHT * _NUMBER_BYTES), _EIGHT)
            turn.then[f"sum{index}"] = fma(code, value, everywhere, turn.now[f"sum{index}"], _EIGHT)
    return [turn.now[f"sum{index}"] for index in range(len(sums))]


def _carried(sums: Sequence[str]) -> dict[str, tuple[str, str]]:
    return {f"sum{index}": (_EIGHTS, one) for index, one in enumerate(sums)}


def _librarys_exponential(code: Function, exponent: str) -> str:
    """Return e to the power of one number, as the C library has it."""
    return code.let(f"call float inttoptr (i64 {torchs_function('expf')} to ptr)(float {exponent})")


def _exponential(code: Function, exponent: str) -> str:
    """Return e to the power of eight numbers, none of which is positive, as torch's fast one has it."""
    everywhere = partial(all_lanes, lanes=_EIGHT)
    least = everywhere(_LEAST_EXPONENT)
    below = code.let(f"fcmp olt {_EIGHTS} {exponent}, {least}")
    bounded = code.let(f"select <{_EIGHT} x i1> {below}, {_EIGHTS} {least}, {_EIGHTS} {exponent}")
    turns = fma(code, bounded, everywhere(math.log2(math.e)), everywhere(0.5), _EIGHT)
    whole = code.let(f"call {_EIGHTS} @llvm.floor.v{_EIGHT}f32({_EIGHTS} {turns})")
    left = fma(code, code.let(f"fneg {_EIGHTS} {whole}"), everywhere(math.log(2.0)), bounded, _EIGHT)
    total = polynomial(code, _POLYNOMIAL, left, _EIGHT)
    less = code.let(f"fsub {_EIGHTS} {whole}, {everywhere(1.0)}")
    half = code.let(f"call {_EIGHT_WORDS} @llvm.fptosi.sat.v{_EIGHT}i32.v{_EIGHT}f32({_EIGHTS} {less})")
    biased = code.let(f"add {_EIGHT_WORDS} {half}, {all_words(_EXPONENT_BIAS, _EIGHT)}")
    power = code.let(f"shl {_EIGHT_WORDS} {biased}, {all_words(_MANTISSA_BITS, _EIGHT)}")
    scale = code.let(f"bitcast {_EIGHT_WORDS} {power} to {_EIGHTS}")
    scale = code.let(f"select <{_EIGHT} x i1> {below}, {_EIGHTS} zeroinitializer, {_EIGHTS} {scale}")
    scaled = code.let(f"fmul {_EIGHTS} {total}, {scale}")
    return code.let(f"fmul {_EIGHTS} {scaled}, {everywhere(2.0)}")


def _halves_added(code: Function, vector: str, lanes: int) -> str:
    """Return the sum of a vector's numbers: its halves are added, then those of that."""
    while lanes > 1:
        wide, lanes = f"<{lanes} x float>", lanes // 2
        halves = [
            code.let(f"shufflevector {wide} {vector}, {wide} poison, <{lanes} x i32> <{listed}>")
            for listed in (", ".join(f"i32 {lane}" for lane in range(first, first + lanes)) for first in (0, lanes))
        ]
        vector = code.let(f"fadd <{lanes} x float> {halves[0]}, {halves[1]}")
    return code.let(f"extractelement <1 x float> {vector}, i32 0")


def _side_by_side(code: Function, numbers: Sequence[str]) -> str:
    vector = "poison"
    for place, one in enumerate(numbers):
        vector = code.let(f"insertelement {_FOURS} {vector}, float {one}, i32 {place}")
    return vector


def _greater(code: Function, one: str, other: str) -> str:
    greater = code.let(f"fcmp ogt float {one}, {other}")
    return code.let(f"select i1 {greater}, float {one}, float {other}")


def _scalar_fma(code: Function, first: str, second: str, third: str) -> str:
    return code.let(f"call float @llvm.fma.f32(float {first}, float {second}, float {third})")
