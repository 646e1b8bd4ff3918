"""Reads the interpreter's value stack of a traced frame: the very object that is about to be written.

A trace function sees which instruction comes next, not what it works on. Evaluating the source expression
again would run the subject's code twice, so the operands are read where the interpreter keeps them. The layout
is CPython's own and differs between versions, therefore `works_here` tries it on a known function first; where
it does not work the audit falls back to comparing the shared graph line by line (`harness.audit.watch.lines`).
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import CodeType, FrameType

WORD = ctypes.sizeof(ctypes.c_void_p)
LINK, RESULT_WORD = "_lru_list_elem", 6  # after the object's head, two links, a hash and the key
# Words from the start of the frame object to its interpreter frame, and from there to `stacktop` and the locals.
FRAME_WORD, STACKTOP_WORD, LOCALS_WORD = 3, 8, 9


def operand(frame: FrameType, depth: int) -> object:
    """The object `depth` entries below the top of the stack (1 is the top); None for an empty entry."""
    interpreter_frame = ctypes.c_void_p.from_address(id(frame) + FRAME_WORD * WORD).value or 0
    top = ctypes.c_int.from_address(interpreter_frame + STACKTOP_WORD * WORD).value
    return _object_at(interpreter_frame + (LOCALS_WORD + top - depth) * WORD)


def _object_at(address: int) -> object:
    """The object that the pointer at `address` points to, in one step of C: no thread can free it in between."""
    try:
        return ctypes.py_object.from_address(address).value
    except ValueError:
        return None  # no object there


class _Probe:
    pass


def _store(target: _Probe, value: object) -> None:
    target.seen = value  # type: ignore[attr-defined] # only the instruction matters


def _probe(code: CodeType) -> tuple[object, object]:
    from harness.audit.watch.bytecode import plan_of  # noqa: PLC0415 - bytecode needs nothing from here; keeps it so

    target, value, seen = _Probe(), object(), []

    def inside(frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function
        frame.f_trace_opcodes = True
        instruction = plan_of(code).instructions.get(frame.f_lasti)
        if event == "opcode" and instruction is not None:
            seen.append((operand(frame, 1), operand(frame, 2)))
        return inside

    before = sys.gettrace()
    sys.settrace(lambda frame, _event, _argument: inside if frame.f_code is code else None)
    try:
        _store(target, value)
    finally:
        sys.settrace(before)
    return (target, value) if seen == [(target, value)] else (None, seen)


@lru_cache(maxsize=1)
def works_here() -> bool:
    """Whether this interpreter keeps its stack where this module expects it."""
    if sys.implementation.name != "cpython" or sys.version_info[:2] != (3, 11):
        return False  # reading at a wrong address could end the process, so no other version is even tried
    return _probe(_store.__code__)[0] is not None


def cached_result(entry: Any) -> object:  # noqa: ANN401 - what the table of an lru_cache holds
    """The result behind an entry of an lru_cache: the entry itself, or what a bounded cache's link points to."""
    if type(entry).__name__ != LINK or not works_here():
        return entry
    return _object_at(id(entry) + RESULT_WORD * WORD)


def local_slot(frame: FrameType, index: int) -> object:
    """What stands in local slot `index`: for a variable shared with inner functions, its cell."""
    interpreter_frame = ctypes.c_void_p.from_address(id(frame) + FRAME_WORD * WORD).value or 0
    return _object_at(interpreter_frame + (LOCALS_WORD + index) * WORD)
