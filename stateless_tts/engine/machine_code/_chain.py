"""Kernels that run one after the other, with no Python between them.

A call from Python takes as long as a small kernel does, and hands Python's lock over twice. What a chain is told is
known when it is made, but for a few numbers, such as a length and where memory lies, that are told when it runs. It is
not written to: any thread may run it, with memory of its own.
"""

from __future__ import annotations

import ctypes
import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from ._function import Function
from ._translation import MachineCode, cpu_features

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt
    import torch


def float_bits(value: float) -> int:
    """Return a float32 as a table of 8-byte values holds it."""
    return int.from_bytes(struct.pack("<f", value), "little")


def expect(name: str, tensor: torch.Tensor, dtype: torch.dtype) -> None:
    """Refuse what kernels would read or write beyond, because its numbers are not what they take them for.

    Raises:
        ValueError: `tensor` is not of `dtype`, on the CPU, contiguous.
    """
    if tensor.dtype is not dtype or tensor.device.type != "cpu" or not tensor.is_contiguous():
        found = f"{tensor.dtype} on {tensor.device}, {'' if tensor.is_contiguous() else 'not '}contiguous"
        raise ValueError(f"{name} of {found}: expected {dtype} on the CPU, contiguous")


@dataclass(frozen=True)
class Told:
    """A number that a chain is told when it runs: `times` the one of this name, `plus` another."""

    name: str
    times: int = 1
    plus: int = 0


@dataclass(frozen=True)
class Call:
    """What a kernel is called with: a value for each field of its table.

    Attributes:
        code: has the kernel.
        function: its name.
        values: by field.
    """

    code: MachineCode
    function: str
    values: Mapping[str, int | Told]


class Chain:
    """Calls, in order.

    Args:
        calls: at least one.
        kept: what calls point to, if it is not told when the chain runs.
    """

    def __init__(self, calls: Sequence[Call], kept: Sequence[torch.Tensor] = ()) -> None:
        self._kept = tuple(tensor.detach() for tensor in kept)  # of parameters whose data may be set anew
        fields = [call.code.fields(call.function) for call in calls]
        self._fields = fields
        self._names = sorted({one.name for call in calls for one in call.values.values() if isinstance(one, Told)})
        places = {name: place for place, name in enumerate(self._names)}
        shape = len(calls), max(map(len, fields))
        # A value is its constant, and so many times a number that is told.
        self._constant, self._times, self._place = (np.zeros(shape, dtype=np.int64) for _ in range(3))
        for row, (call, names) in enumerate(zip(calls, fields, strict=True)):
            for column, name in enumerate(names):
                value = call.values[name]
                if isinstance(value, Told):
                    self._constant[row, column] = value.plus
                    self._times[row, column], self._place[row, column] = value.times, places[value.name]
                else:
                    self._constant[row, column] = value
        self._functions = np.array([call.code.address(call.function) for call in calls], dtype=np.int64)
        self._codes = {call.code for call in calls}
        self._share_out = next(iter(self._codes)).share_out
        self._in_turn_code, self._in_turn = _in_turn()  # several threads may have made several: this one is kept

    def most(self, field: str, /, **told: int) -> int:
        """Return the greatest number that any call has in this field, 0 if none has it.

        Nothing else has to be told than what that depends on.
        """
        table = self._table([told.get(name, 0) for name in self._names])
        places = [(row, names.index(field)) for row, names in enumerate(self._fields) if field in names]
        return max((int(table[place]) for place in places), default=0)

    def run(self, threads: int, /, **told: int) -> None:
        """Run all calls, each in so many of torch's threads at a time.

        Args:
            threads: how many.
            told: a number for every name that a value of the calls has; others are ignored.

        Raises:
            KeyError: there is none for some name.
        """
        self.ready(threads, **told).run(0, len(self._functions))

    def ready(self, threads: int, /, **told: int) -> ReadyChain:
        """Return the calls, told what `run` is told, to be run a few at a time."""
        return ReadyChain(self, self._table([told[name] for name in self._names]), threads)

    def run_told(self, table: npt.NDArray[np.int64], first: int, end: int, threads: int) -> None:
        """Run the calls from `first` to the one before `end`, of which `table` says what they are told."""
        functions = self._functions.ctypes.data + first * self._functions.itemsize
        stride = table.strides[0]
        self._in_turn(functions, table.ctypes.data + first * stride, stride, end - first, self._share_out, threads)

    def __deepcopy__(self, memo: dict[int, object]) -> Chain:
        """It is never written to: copies share it."""
        return self

    def _table(self, told: Sequence[int]) -> npt.NDArray[np.int64]:
        numbers = np.array(told or [0], dtype=np.int64)
        return self._constant + self._times * numbers[self._place]


class ReadyChain:
    """Calls that are told everything. Each may be run once."""

    def __init__(self, chain: Chain, table: npt.NDArray[np.int64], threads: int) -> None:
        self._chain, self._table, self._threads = chain, table, threads

    def run(self, first: int, end: int) -> None:
        """Run the calls from `first` to the one before `end`."""
        self._chain.run_told(self._table, first, end, self._threads)


def prepare_chains() -> None:
    """Translate what runs chains, if no chain has been made yet.

    Raises:
        RuntimeError: as `MachineCode` does.
        OSError: the same.
    """
    _in_turn()


@cache
def _in_turn() -> tuple[MachineCode, Callable[[int, int, int, int, int, int], None]]:
    """Return the function that runs calls in turn, without Python's lock, and what has to be kept for it."""
    arguments = {
        "functions": "ptr",
        "tables": "ptr",
        "stride": "i64",
        "count": "i64",
        "share_out": "ptr",
        "threads": "i32",
    }
    code = Function("in_turn", arguments, public=True)
    with code.loop("%count") as turn:
        function = code.load("ptr", code.after("%functions", code.times(turn.index, 8)))
        table = code.after("%tables", code.times(turn.index, "%stride"))
        code.do(f"call void %share_out(ptr {function}, ptr {table}, i32 %threads, i32 0)")
    machine_code = MachineCode(code.source(), {"in_turn": ()}, cpu_features())
    pointer, number = ctypes.c_void_p, ctypes.c_int64
    prototype = ctypes.CFUNCTYPE(None, pointer, pointer, number, number, pointer, ctypes.c_int32)
    return machine_code, prototype(machine_code.address("in_turn"))
