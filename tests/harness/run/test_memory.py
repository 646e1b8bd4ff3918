from __future__ import annotations

import numpy as np

from harness.run.memory import PeakMemory, release_free_memory


def test_the_peak_is_what_was_held_at_most() -> None:
    release_free_memory()
    with PeakMemory() as memory:
        block = np.ones(64 * 1024 * 1024, dtype=np.uint8)
    assert block.all()
    assert memory.peak_mib >= memory.before_mib + 48
