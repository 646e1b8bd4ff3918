from __future__ import annotations

from harness.run.gate.kernels import ARITHMETIC, MEMORY, ControlKernels


def test_both_kernels_take_time() -> None:
    seconds = ControlKernels().time_both()
    assert set(seconds) == {MEMORY, ARITHMETIC}
    assert min(seconds.values()) > 0
