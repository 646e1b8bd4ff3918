"""Which lines of a function can write to an object, found once in its bytecode."""

from __future__ import annotations

import bisect
import dis
import heapq
import operator
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.audit.scope import SETTERS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import CodeType

STORES = frozenset({
    "STORE_ATTR", "DELETE_ATTR", "STORE_SUBSCR", "DELETE_SUBSCR", "STORE_GLOBAL", "DELETE_GLOBAL", "STORE_DEREF",
    "DELETE_DEREF",
})  # fmt: skip
# Functions of C that write one of their arguments, by name, and which argument that is.
ARGUMENT_WRITERS: Mapping[str, tuple[object, int]] = {
    function.__name__: (function, index)
    for function, index in (
        (heapq.heappush, 0), (heapq.heappop, 0), (heapq.heapify, 0), (heapq.heapreplace, 0), (heapq.heappushpop, 0),
        (bisect.insort_left, 0), (bisect.insort_right, 0), (struct.pack_into, 1), (operator.setitem, 0),
        (operator.delitem, 0),
    )
}  # fmt: skip
SETTING_NAMES = SETTERS | {"setattr", "delattr"}
CALLED_NAMES = SETTING_NAMES | ARGUMENT_WRITERS.keys() | {"insort"}
FIRST_INPLACE_OPERATOR = 13


@dataclass(frozen=True)
class Instruction:
    """An instruction that may write, with what is needed to read its operands."""

    name: str
    argument: int
    value: object
    line: int


@dataclass(frozen=True)
class Plan:
    """Where to look in one code object: instructions by offset, and the lines they are on."""

    instructions: dict[int, Instruction]
    lines: frozenset[int]


EMPTY = Plan({}, frozenset())


def _writes(instruction: dis.Instruction, setting_lines: set[int]) -> bool:
    if instruction.opname in STORES:
        return True
    if instruction.opname == "BINARY_OP":
        return (instruction.arg or 0) >= FIRST_INPLACE_OPERATOR
    return instruction.opname == "CALL" and _line(instruction) in setting_lines


def _line(instruction: dis.Instruction) -> int:
    return (instruction.positions.lineno if instruction.positions else None) or 0


def _span(instruction: dis.Instruction) -> range:
    """The lines an instruction covers: a call's name may stand on another line than its closing bracket."""
    if instruction.positions is None or instruction.positions.lineno is None:
        return range(0)
    return range(instruction.positions.lineno, (instruction.positions.end_lineno or 0) + 1)


def plan_of(code: CodeType) -> Plan:
    """The plan of `code`; empty if nothing in it can write to an object."""
    if not (CALLED_NAMES & set(code.co_names)) and not any(
        instruction.opname in STORES or instruction.opname == "BINARY_OP" for instruction in dis.get_instructions(code)
    ):
        return EMPTY
    instructions = list(dis.get_instructions(code))
    setting_lines = {
        line for found in instructions if found.argval in CALLED_NAMES and isinstance(found.argval, str)
        for line in _span(found)
    }  # fmt: skip
    found: dict[int, Instruction] = {}
    extended_from: int | None = None
    for instruction in instructions:
        if instruction.opname == "EXTENDED_ARG":
            extended_from = instruction.offset if extended_from is None else extended_from
            continue
        if _writes(instruction, setting_lines):
            # The interpreter reports an extended instruction at its first prefix.
            offset = instruction.offset if extended_from is None else extended_from
            entry = Instruction(instruction.opname, instruction.arg or 0, instruction.argval, _line(instruction))
            found[offset] = found[instruction.offset] = entry
        extended_from = None
    return Plan(found, frozenset(entry.line for entry in found.values()))
