"""Machine code runs in torch's threads, or is refused with a reason."""

from __future__ import annotations

import copy
import ctypes

import pytest

from stateless_tts.engine.machine_code import _translation
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features, openmp, torchs_function

pytestmark = pytest.mark.skipif(openmp() is None, reason="torch's OpenMP has no GNU entry points here")

TABLES = {"count": ["unused", "counter"]}
COUNTS = """
define void @count(ptr %table) {
  %place = getelementptr i64, ptr %table, i64 1
  %counter = load ptr, ptr %place
  %before = atomicrmw add ptr %counter, i64 1 monotonic
  ret void
}
"""


@pytest.mark.parametrize("threads", [1, 3])
def test_every_thread_runs_it_once(threads: int) -> None:
    code = MachineCode(COUNTS, TABLES, cpu_features())
    counter = ctypes.c_int64(0)
    for one in (code, copy.deepcopy(code)):
        one.run("count", {"counter": ctypes.addressof(counter), "unused": 0}, threads)
    assert counter.value == 2 * threads


def test_what_is_no_assembly_is_refused() -> None:
    with pytest.raises(RuntimeError, match="expected top-level entity"):
        MachineCode("this is no assembly", TABLES, cpu_features())


def test_torch_has_to_share_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_translation, "openmp", lambda: None)
    with pytest.raises(RuntimeError, match="needs a torch whose OpenMP has GOMP_parallel"):
        MachineCode(COUNTS, TABLES, cpu_features())


def test_a_function_that_torch_does_not_have_is_refused() -> None:
    prototype = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_float)
    assert prototype(torchs_function("expf"))(0.0) == 1.0
    with pytest.raises(RuntimeError, match="no_such_function: expected a function in the libraries"):
        torchs_function("no_such_function")
