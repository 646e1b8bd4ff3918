"""How many cores torch's operations use in one thread, and in no other.

`torch.set_num_threads` writes two things: the number of the calling thread, and the one that all threads of the
process begin with from then on. OpenMP keeps the first apart, and torch asks OpenMP before every operation.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits


def use_cores(count: int) -> None:
    """Let operations of the calling thread, by torch, oneDNN or MKL, use `count` cores from now on."""
    torch.get_num_threads()  # what the process has set reaches a thread at its first use, and would take back ours
    threadpool_limits(limits=count, user_api="openmp")
    with suppress(OSError, AttributeError):  # not every build of torch has MKL in it
        # A thread's number of MKL's own goes before OpenMP's, and torch gives it one where the process has set any.
        ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).MKL_Set_Num_Threads_Local(count)
