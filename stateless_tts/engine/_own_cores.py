"""How many cores torch's operations use in one thread, and in no other.

`torch.set_num_threads` writes two things: the number of the calling thread, and the one that all threads of the
process begin with from then on. OpenMP and MKL keep the first for each thread, and torch asks them before every
operation.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress

import torch


def use_cores(count: int) -> None:
    """Let operations of the calling thread, by torch, oneDNN or MKL, use `count` cores from now on.

    Whatever the process is told later, this thread keeps to it.

    Where torch is built without OpenMP, or hides it, the thread keeps the process's number.
    """
    torch.get_num_threads()  # what the process has set reaches a thread at its first use, and would take back ours
    libraries = ctypes.CDLL(torch._C.__file__)  # noqa: SLF001 - with all that it was linked with
    for name in ("omp_set_num_threads", "MKL_Set_Num_Threads_Local"):  # MKL's own number goes before OpenMP's
        with suppress(AttributeError):
            libraries[name](count)
