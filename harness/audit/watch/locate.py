"""From a running frame to the file, the line and the stack that a person wants to read."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.audit.scope import PACKAGE_ROOT, SETTERS, is_plumbing

if TYPE_CHECKING:
    from types import CodeType, FrameType

UNKNOWN = "unknown"
STACK_DEPTH = 40


@dataclass(frozen=True)
class Site:
    """An instruction, or a whole line if `offset` is -1, of a code object: where a call can be held."""

    code: CodeType
    line: int
    offset: int = -1

    @property
    def location(self) -> str:
        return f"{self.code.co_filename}:{self.line}"


@dataclass(frozen=True)
class Place:
    """Where something happened.

    Attributes:
        location: `file:line` of the innermost frame outside torch, numpy and the standard library.
        stack: the frames from the call inwards, each `file:line in function`.
        sites: the innermost frame, and the frame of `location` if that is another one.
    """

    location: str
    stack: tuple[str, ...]
    sites: tuple[Site, ...]


NOWHERE = Place(UNKNOWN, (), ())


def short(location: str) -> str:
    """`location` as a table shows it: from the package or the working directory on."""
    for root in sorted((entry for entry in sys.path if entry), key=len, reverse=True):
        if location.startswith(root.rstrip("/") + "/"):
            return location[len(root.rstrip("/")) + 1 :]
    return location


def _is_inside(frame: FrameType) -> bool:
    code = frame.f_code
    return code.co_name in SETTERS or is_plumbing(code.co_filename)


def place_of(frame: FrameType | None, line: int | None = None) -> Place:
    """The place of `frame`: its stack, read up to where the audit started the call.

    Args:
        frame: the innermost frame.
        line: the line it was on, if it has moved on since.
    """
    while frame is not None and frame.f_code.co_filename.startswith(PACKAGE_ROOT):
        frame = frame.f_back
    if frame is None:
        return NOWHERE
    stack: list[str] = []
    user: FrameType | None = None
    walker: FrameType | None = frame
    inner_line = line or frame.f_lineno
    while walker is not None and not walker.f_code.co_filename.startswith(PACKAGE_ROOT):
        number = inner_line if walker is frame else walker.f_lineno
        stack.append(f"{walker.f_code.co_filename}:{number} in {walker.f_code.co_qualname}")
        if user is None and not _is_inside(walker):
            user = walker
        walker = walker.f_back
    user = user or frame
    inner = Site(frame.f_code, inner_line, -1 if line else frame.f_lasti)
    outer = inner if user is frame else Site(user.f_code, user.f_lineno, user.f_lasti)
    sites = (inner,) if inner == outer else (inner, outer)
    return Place(outer.location, tuple(reversed(stack[:STACK_DEPTH])), sites)
