"""Functions of sixteen float32 numbers at a time."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ._function import Function

LANES = 16
FLOATS = f"<{LANES} x float>"
HALVES = f"<{LANES} x bfloat>"
WORDS = f"<{LANES} x i32>"
SHORTS = f"<{LANES} x i16>"
VECTOR_BYTES = 64
LANE_NUMBERS = f"<{', '.join(f'i64 {lane}' for lane in range(LANES))}>"
"""A vector constant: 0, 1, 2 and so on, of i64."""
EVERY_LANE = f"<{LANES} x i1> <{', '.join(['i1 true'] * LANES)}>"
"""The mask that leaves no lane out."""

DECLARATIONS = f"""
declare {FLOATS} @llvm.fma.v{LANES}f32({FLOATS}, {FLOATS}, {FLOATS})
declare float @llvm.sqrt.f32(float)
declare float @llvm.vector.reduce.fmaximum.v{LANES}f32({FLOATS})
declare float @llvm.vector.reduce.fadd.v{LANES}f32(float, {FLOATS})
"""
LOG2_E = math.log2(math.e)
# In float32; beyond, the square of the exponential would overflow some day.
_MISH_IS_LINEAR_FROM = 20.0
_LEAST_EXPONENT = -125.0
_MANTISSA_BITS = 23
_DEGREE = 5
_SINE_DEGREE = 5
# Added to a number of few digits, it leaves its whole part in the last bits.
_ROUNDING = 1.5 * 2**_MANTISSA_BITS
# Beyond it, what the error function lacks of 1 is left out; within, it is a polynomial of this degree.
_ERF_REACH = {"exact": (3.5, 12), "rough": (3.2, 10)}


def has_wide_vectors(features: Mapping[str, bool]) -> bool:
    """Whether a CPU with these features, as LLVM names them, has registers of at least eight float32 numbers.

    With AVX2 alone LLVM takes sixteen at a time as two times eight. CPUs with AVX-512 have AVX2 as well.
    """
    return bool(features.get("avx2") and features.get("fma"))


def number(value: float) -> str:
    """Return a float32 constant as LLVM writes it: as the float64 that is equal to it."""
    (exact,) = struct.unpack("<f", struct.pack("<f", value))
    return f"0x{struct.pack('>d', exact).hex().upper()}"


def all_lanes(value: float, lanes: int = LANES) -> str:
    """Return a vector constant."""
    return f"<{', '.join([f'float {number(value)}'] * lanes)}>"


def all_words(value: int, lanes: int = LANES) -> str:
    """Return a vector constant of i32."""
    return f"<{', '.join([f'i32 {value}'] * lanes)}>"


def spread(code: Function, type_: str, value: str, lanes: int = LANES) -> str:
    """Return a vector with `value`, of this element type, in every lane."""
    vector = f"<{lanes} x {type_}>"
    first = code.let(f"insertelement {vector} poison, {type_} {value}, i32 0")
    return code.let(f"shufflevector {vector} {first}, {vector} poison, <{lanes} x i32> zeroinitializer")


def fma(code: Function, first: str, second: str, third: str, lanes: int = LANES) -> str:
    """Return ``first * second + third``; of other lanes than `LANES`, `declared_fma` has to stand beside."""
    given = ", ".join(f"<{lanes} x float> {vector}" for vector in (first, second, third))
    return code.let(f"call <{lanes} x float> @llvm.fma.v{lanes}f32({given})")


def declared_fma(lanes: int) -> str:
    """Return the declaration of `fma` for so many lanes."""
    vector = f"<{lanes} x float>"
    return f"declare {vector} @llvm.fma.v{lanes}f32({', '.join([vector] * 3)})"


def power_of_two(code: Function, exponent: str, degree: int) -> str:
    """Return 2 to the power of numbers that are at most 126; below -125 it stays what it is there, 2e-38.

    The whole part goes to the exponent of what a polynomial says of the rest, which is wrong by at most 1e-4 of it with
    degree 3, 4e-6 with 4, and float32's rounding with 5.
    """
    exponent = maximum(code, exponent, all_lanes(_LEAST_EXPONENT))
    shifted = code.let(f"fadd {FLOATS} {exponent}, {all_lanes(_ROUNDING)}")
    whole = code.let(f"fsub {FLOATS} {shifted}, {all_lanes(_ROUNDING)}")
    mantissa = polynomial(code, _powers_of_two(degree), code.let(f"fsub {FLOATS} {exponent}, {whole}"))
    bits, to_add = (code.let(f"bitcast {FLOATS} {one} to {WORDS}") for one in (mantissa, shifted))
    moved = code.let(f"shl {WORDS} {to_add}, {all_words(_MANTISSA_BITS)}")
    return code.let(f"bitcast {WORDS} {code.let(f'add {WORDS} {bits}, {moved}')} to {FLOATS}")


def _powers_of_two(degree: int) -> list[float]:
    """Return the coefficients of the polynomial through 2 to the power of Chebyshev's points, the constant first."""
    through = Chebyshev.interpolate(np.exp2, degree, domain=[-0.5, 0.5])  # type: ignore[no-untyped-call] # by numpy
    polynomial = through.convert(kind=Polynomial)
    return [float(coefficient) for coefficient in polynomial.coef]


def gelu(code: Function, x: str, erf: Literal["exact", "rough"] = "exact") -> str:
    """Return ``x * (1 + erf(x / sqrt(2))) / 2``.

    Args:
        code: where it is computed.
        x: a vector.
        erf: wrong by at most 1e-6, or by 7e-6, which is far below what bfloat16 keeps.
    """
    reach, degree = _ERF_REACH[erf]
    bound = reach * math.sqrt(2.0)
    bounded = minimum(code, maximum(code, x, all_lanes(-bound)), all_lanes(bound))
    share = code.let(f"fmul {FLOATS} {bounded}, {all_lanes(2.0 / bound**2)}")
    place = fma(code, share, bounded, all_lanes(-1.0))
    error_function = code.let(f"fmul {FLOATS} {polynomial(code, _erf_over_x(reach, degree), place)}, {bounded}")
    half = code.let(f"fmul {FLOATS} {x}, {all_lanes(0.5)}")
    return fma(code, half, error_function, half)


def _erf_over_x(reach: float, degree: int) -> list[float]:
    """Return the polynomial for ``erf(x / sqrt(2)) / x``, the constant first, in the square of x.

    The square is taken from where 0 is -1 and `reach` times the root of two is 1, so that no coefficient is large.
    """

    def of_place(places: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        scaled = np.sqrt((np.asarray(places) + 1) / 2) * reach
        return np.array([math.erf(one) / one for one in scaled]) * math.sqrt(0.5)  # no point of Chebyshev's is 0

    through = Chebyshev.interpolate(of_place, degree)  # type: ignore[no-untyped-call] # by numpy
    return [float(coefficient) for coefficient in through.convert(kind=Polynomial).coef]


def mish(code: Function, x: str) -> str:
    """Return ``x * tanh(softplus(x))``, which is ``x * r / (r + 2)`` with ``r = e**x * (e**x + 2)``."""
    bounded = code.let(f"fmul {FLOATS} {minimum(code, x, all_lanes(_MISH_IS_LINEAR_FROM))}, {all_lanes(LOG2_E)}")
    grown = power_of_two(code, bounded, _DEGREE)
    ratio = code.let(f"fmul {FLOATS} {grown}, {code.let(f'fadd {FLOATS} {grown}, {all_lanes(2.0)}')}")
    below = code.let(f"fadd {FLOATS} {ratio}, {all_lanes(2.0)}")
    tanh = code.let(f"fdiv {FLOATS} {ratio}, {below}")
    return code.let(f"fmul {FLOATS} {x}, {tanh}")


def squared_sine(code: Function, x: str) -> str:
    """Return the square of the sine, of numbers up to a million; it is wrong by at most 3e-7 up to 100."""
    turns = fma(code, x, all_lanes(1.0 / math.pi), all_lanes(_ROUNDING))
    turns = code.let(f"fsub {FLOATS} {turns}, {all_lanes(_ROUNDING)}")
    rounded_pi = float(np.float32(math.pi))
    left = fma(code, turns, all_lanes(-rounded_pi), x)
    left = fma(code, turns, all_lanes(rounded_pi - math.pi), left)  # what the rounding took
    square = code.let(f"fmul {FLOATS} {left}, {left}")
    slope = polynomial(code, _sine_over_x(), square)
    sine = code.let(f"fmul {FLOATS} {left}, {slope}")
    return code.let(f"fmul {FLOATS} {sine}, {sine}")


def _sine_over_x() -> list[float]:
    """Return the polynomial for ``sin(x) / x``, the constant first, in the square of x, to a quarter of a turn."""
    through = Chebyshev.interpolate(  # type: ignore[no-untyped-call] # by numpy
        lambda square: np.sinc(np.sqrt(np.asarray(square)) / np.pi), _SINE_DEGREE, domain=[0.0, (math.pi / 2) ** 2]
    )
    return [float(coefficient) for coefficient in through.convert(kind=Polynomial).coef]


def mean_and_scale(code: Function, numbers: str, vectors: str, epsilon: str) -> tuple[str, str]:
    """Return the mean of so many vectors of float32, in every lane, and what makes their variance, and epsilon, 1."""
    count = code.let(f"sitofp i64 {code.times(vectors, LANES)} to float")
    with code.loop(vectors, total=(FLOATS, all_lanes(0.0)), at=("ptr", numbers)) as turn:
        vector = code.load(FLOATS, turn.now["at"])
        turn.then["total"] = code.let(f"fadd {FLOATS} {turn.now['total']}, {vector}")
        turn.then["at"] = code.after(turn.now["at"], VECTOR_BYTES)
    mean = spread(code, "float", code.let(f"fdiv float {added_up(code, turn.then['total'])}, {count}"))
    with code.loop(vectors, total=(FLOATS, all_lanes(0.0)), at=("ptr", numbers)) as turn:
        away = code.let(f"fsub {FLOATS} {code.load(FLOATS, turn.now['at'])}, {mean}")
        turn.then["total"] = fma(code, away, away, turn.now["total"])
        turn.then["at"] = code.after(turn.now["at"], VECTOR_BYTES)
    variance = code.let(f"fdiv float {added_up(code, turn.then['total'])}, {count}")
    return mean, inverse_root(code, variance, epsilon)


def inverse_root(code: Function, number: str, epsilon: str) -> str:
    """Return the inverse root of one float32 number and what is added to it, in every lane."""
    above = code.let(f"fadd float {number}, {epsilon}")
    root = code.let(f"call float @llvm.sqrt.f32(float {above})")
    return spread(code, "float", code.let(f"fdiv float 1.0, {root}"))


def added_up(code: Function, vector: str) -> str:
    """Return the sum of a vector's numbers."""
    return code.let(f"call reassoc float @llvm.vector.reduce.fadd.v{LANES}f32(float -0.0, {FLOATS} {vector})")


def maximum(code: Function, first: str, second: str, lanes: int = LANES) -> str:
    """Return the greater of each two numbers; what is no number in `first` stays. It is one instruction."""
    floats = f"<{lanes} x float>"
    greater = code.let(f"fcmp ogt {floats} {second}, {first}")
    return code.let(f"select <{lanes} x i1> {greater}, {floats} {second}, {floats} {first}")


def minimum(code: Function, first: str, second: str) -> str:
    """Return the smaller of each two numbers; what is no number in `first` stays. It is one instruction."""
    smaller = code.let(f"fcmp olt {FLOATS} {second}, {first}")
    return code.let(f"select <{LANES} x i1> {smaller}, {FLOATS} {second}, {FLOATS} {first}")


def in_bfloat16(code: Function, numbers: str, parts: int) -> list[str]:
    """Return so many bfloat16 vectors whose sum is nearest to `numbers`: each is what the ones before left over."""
    found = []
    for part in range(parts):
        found.append(code.let(f"fptrunc {FLOATS} {numbers} to {HALVES}"))
        if part + 1 < parts:
            whole = code.let(f"fpext {HALVES} {found[-1]} to {FLOATS}")
            numbers = code.let(f"fsub {FLOATS} {numbers}, {whole}")
    return found


def widened(code: Function, pointer: str, lanes: int = LANES) -> str:
    """Return as many bfloat16 numbers from there as float32."""
    half = code.load(f"<{lanes} x bfloat>", pointer)
    return code.let(f"fpext <{lanes} x bfloat> {half} to <{lanes} x float>")


def rounded_words(code: Function, numbers: str, lanes: int = LANES) -> str:
    """Return the words of float32 `numbers` that are rounded to bfloat16, to even ones between two, as torch does.

    For CPUs without an instruction for it. What is no number stays none.
    """
    floats, words = f"<{lanes} x float>", f"<{lanes} x i32>"
    bits = code.let(f"bitcast {floats} {numbers} to {words}")
    odd = code.let(f"and {words} {code.let(f'lshr {words} {bits}, {all_words(16, lanes)}')}, {all_words(1, lanes)}")
    more = code.let(f"add {words} {code.let(f'add {words} {bits}, {all_words(2**15 - 1, lanes)}')}, {odd}")
    nothing = code.let(f"fcmp uno {floats} {numbers}, {numbers}")
    kept = code.let(f"or {words} {bits}, {all_words(2**22, lanes)}")
    either = code.let(f"select <{lanes} x i1> {nothing}, {words} {kept}, {words} {more}")
    return code.let(f"and {words} {either}, {all_words(-(2**16), lanes)}")


def rounded(code: Function, numbers: str, lanes: int = LANES) -> str:
    """Return float32 `numbers` as what is left of them in bfloat16, by `rounded_words`."""
    words = rounded_words(code, numbers, lanes)
    return code.let(f"bitcast <{lanes} x i32> {words} to <{lanes} x float>")


def narrowed(code: Function, numbers: str, lanes: int = LANES) -> str:
    """Return float32 `numbers` as the 16 bits of bfloat16, by `rounded_words`."""
    words = rounded_words(code, numbers, lanes)
    high = code.let(f"lshr <{lanes} x i32> {words}, {all_words(16, lanes)}")
    return code.let(f"trunc <{lanes} x i32> {high} to <{lanes} x i16>")


def polynomial(code: Function, coefficients: Sequence[float], x: str, lanes: int = LANES) -> str:
    """Return the value at each number of the polynomial with these coefficients, the constant first."""
    *others, total = (all_lanes(one, lanes) for one in coefficients)
    for coefficient in reversed(others):
        total = fma(code, total, x, coefficient, lanes)
    return total
