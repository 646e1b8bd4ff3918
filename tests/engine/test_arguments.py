"""Whatever is no number in range is refused by name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from stateless_tts import InvalidParameterError
from stateless_tts.engine._arguments import checked_integer, checked_integer_or_none, checked_seconds


@pytest.mark.parametrize("value", [2.5, "4", None, True, 0])
def test_what_is_no_integer_in_range_is_named(value: object) -> None:
    with pytest.raises(InvalidParameterError, match=f"size={value!r}: expected an integer of at least 1"):
        checked_integer("size", value, 1)


def test_what_is_beyond_the_most_is_named() -> None:
    assert checked_integer("size", 8, 1, 8) == 8
    with pytest.raises(InvalidParameterError, match="size=9: expected an integer from 1 to 8"):
        checked_integer("size", 9, 1, 8)


def test_integers_of_any_kind_are_taken() -> None:
    assert checked_integer("size", np.int64(4), 1) == 4
    assert checked_integer_or_none("size", None, 1) is None


@pytest.mark.parametrize("value", [math.nan, -1, -math.inf, "1", True, -(10**400)])
def test_what_is_no_time_is_named(value: object) -> None:
    with pytest.raises(InvalidParameterError, match=r"deadline=.*: expected a number of seconds"):
        checked_seconds("deadline", value)


def test_zero_is_a_time_to_wait_and_no_deadline() -> None:
    assert checked_seconds("timeout", 0, zero_is_allowed=True) == 0.0
    with pytest.raises(InvalidParameterError, match="deadline=0: expected a number of seconds above 0"):
        checked_seconds("deadline", 0)


def test_infinity_is_no_limit() -> None:
    assert checked_seconds("deadline", math.inf) is None
    assert checked_seconds("deadline", 10**400) is None
    assert checked_seconds("deadline", 1e10) == 1e10
