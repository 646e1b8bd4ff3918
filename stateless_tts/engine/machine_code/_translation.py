"""Functions that LLVM translates for this CPU, and torch's own threads run.

LLVM comes with librosa, by way of numba.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

import llvmlite.binding as llvm
import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


class MachineCode:
    """Functions of one argument, a table of 8-byte values that is theirs to write to.

    Args:
        source: LLVM assembly.
        tables: the values of each function to be run, by name and in order; it is ``void @name(ptr)`` in the assembly.
        features: of the CPU, as LLVM names them; `True` are those to use.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, source: str, tables: Mapping[str, Iterable[str]], features: dict[str, bool]) -> None:
        share_out = openmp()
        if share_out is None:
            raise RuntimeError("machine code of our own needs a torch whose OpenMP has GOMP_parallel")
        self._share_out = share_out
        self._code = _translate(source, features)
        self._addresses = {name: self._code.get_function_address(name) for name in tables}
        self._tables = {name: tuple(table) for name, table in tables.items()}

    def run(self, name: str, values: Mapping[str, int], threads: int) -> None:
        """Run a function in so many of torch's threads at a time, all with one table of these values."""
        order = self._tables[name]
        table = (ctypes.c_int64 * len(order))(*(values[one] for one in order))
        self._share_out(self._addresses[name], table, threads, 0)

    def fields(self, name: str) -> tuple[str, ...]:
        """Return the names of a function's values, in order."""
        return self._tables[name]

    def address(self, name: str) -> int:
        """Return where a function lies."""
        address = self._addresses[name]
        assert isinstance(address, int)
        return address

    @property
    def share_out(self) -> int:
        """Where the function lies by which torch's own operations are shared out among its threads."""
        address = ctypes.cast(self._share_out, ctypes.c_void_p).value  # type: ignore[arg-type] # a ctypes function
        assert isinstance(address, int)
        return address

    def __deepcopy__(self, memo: dict[int, object]) -> MachineCode:
        """It holds nothing of any weight: copies of a layer share it."""
        return self


def cpu_features() -> dict[str, bool]:
    """Return what the CPU has, as LLVM names it."""
    return dict(llvm.get_host_cpu_features())


def torchs_function(name: str) -> int:
    """Return where a function lies that torch itself has from the libraries it was linked with.

    Raises:
        RuntimeError: there is none of this name.
    """
    function = getattr(_torchs_libraries(), name, None)
    address = None if function is None else ctypes.cast(function, ctypes.c_void_p).value
    if address is None:
        raise RuntimeError(f"{name}: expected a function in the libraries that torch was linked with")
    return address


def openmp() -> Callable[..., None] | None:
    """Return the function by which torch's own operations are shared out among its threads."""
    libraries = _torchs_libraries()
    if not hasattr(libraries, "GOMP_parallel"):
        return None
    share_out = libraries.GOMP_parallel
    share_out.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
    share_out.restype = None
    return share_out


def _torchs_libraries() -> ctypes.CDLL:
    return ctypes.CDLL(torch._C.__file__)  # noqa: SLF001 - with all that it was linked with


def _translate(source: str, features: dict[str, bool]) -> llvm.ExecutionEngine:
    """Return what holds the machine code."""
    llvm.check_jit_execution()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # To be sure: where narrow vectors are preferred, every register might be split in two.
    named = ",".join(("+" if on else "-") + name for name, on in features.items()) + ",-prefer-256-bit"
    target = llvm.Target.from_default_triple()
    machine = target.create_target_machine(cpu=llvm.get_host_cpu_name(), features=named, opt=3)
    module = llvm.parse_assembly(source)
    module.verify()
    code = llvm.create_mcjit_compiler(module, machine)
    code.finalize_object()
    return code
