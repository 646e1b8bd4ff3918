from __future__ import annotations

import ctypes
import subprocess
import sys

import numpy as np
import pytest

from harness.run.memory import PeakMemory, release_free_memory

# Sixteen threads that allocate at the same time; how many heaps is then said on standard output.
_COUNT_HEAPS = """
import ctypes, os, threading
from harness.run.memory import share_one_heap
if {share}:
    assert share_one_heap()
libc, all_here = ctypes.CDLL(None), threading.Barrier(16)
libc.malloc.restype = ctypes.c_void_p
def allocate():
    all_here.wait()
    libc.malloc(1000)
    all_here.wait()
threads = [threading.Thread(target=allocate) for _ in range(16)]
for thread in threads: thread.start()
for thread in threads: thread.join()
libc.fdopen.restype = ctypes.c_void_p
stream = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, stream)
libc.fflush(stream)
"""


def test_the_peak_is_what_was_held_at_most() -> None:
    release_free_memory()
    with PeakMemory() as memory:
        block = np.ones(64 * 1024 * 1024, dtype=np.uint8)
    assert block.all()
    assert memory.peak_mib >= memory.before_mib + 48


def heaps(*, share: bool) -> int:
    program = _COUNT_HEAPS.format(share=share)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return done.stdout.count("<heap nr=")


def test_threads_share_one_heap() -> None:
    if not hasattr(ctypes.CDLL(None), "malloc_info"):
        pytest.skip("glibc alone has heaps to count")
    assert heaps(share=False) > 2
    assert heaps(share=True) == 1
