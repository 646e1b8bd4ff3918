"""Checks of the engine's arguments; each message names the value and what would be accepted."""

from __future__ import annotations

import math
import numbers

from stateless_tts.errors import InvalidParameterError


def checked_integer(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return `value` as an int of at least `least`, and at most `most` if there is such a bound."""
    bound = math.inf if most is None else most
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or not least <= int(value) <= bound:
        accepted = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise InvalidParameterError(f"{name}={value!r}: expected an integer {accepted}")
    return int(value)


def checked_integer_or_none(name: str, value: object, least: int, most: int | None = None) -> int | None:
    """Return None, or `value` as an int of at least `least`, and at most `most` if there is such a bound."""
    return None if value is None else checked_integer(name, value, least, most)


def checked_switch(name: str, value: object) -> bool:
    """Return `value`, which has to be a bool."""
    if not isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected True or False")
    return value


def checked_switch_or_none(name: str, value: object) -> bool | None:
    """Return `value`, which has to be None or a bool."""
    if value is not None and not isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected None, True or False")
    return value


def checked_seconds(name: str, value: object, *, zero_is_allowed: bool = False) -> float | None:
    """Return `value` as a float; None for None and infinity, which are no limit."""
    if value is None:
        return None
    accepted = f"a number of seconds {'of at least' if zero_is_allowed else 'above'} 0, or None"
    if not isinstance(value, numbers.Real) or isinstance(value, bool):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}")
    try:
        seconds = float(value)
    except OverflowError:  # an integer beyond the range of float
        seconds = -math.inf if value < 0 else math.inf
    if math.isnan(seconds) or seconds < 0 or (seconds == 0 and not zero_is_allowed):
        raise InvalidParameterError(f"{name}={value!r}: expected {accepted}")
    return None if math.isinf(seconds) else seconds
