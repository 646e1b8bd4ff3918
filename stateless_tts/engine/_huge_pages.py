"""What lies on huge pages, and what shall not. It changes no bit, and where it cannot be had nothing happens.

Private weights do: reading them all for every token then asks for 512 times fewer addresses. On one core of an AMX
Xeon, packed products of few rows read 12 to 15 % faster so. Caches do not: they get their memory page by page, as they
are written, and a huge page would be given whole to the first token of a head.
"""

from __future__ import annotations

import ctypes
import mmap
import sys

import torch

# Of Linux; the second, which does it at once in place of some time, since 6.1. Python names only the first.
_HUGE_PAGE, _NO_HUGE_PAGE, _COLLAPSE = 14, 15, 25


def put_on_huge_pages(address: int, size: int) -> bool:
    """Ask for huge pages under the whole pages of `size` bytes from `address` on; returns whether it was granted."""
    granted = _advised(address, size, _HUGE_PAGE)
    if granted:
        _advised(address, size, _COLLAPSE)
    return granted


def keep_off_huge_pages(address: int, size: int) -> bool:
    """Ask for none under the whole pages of `size` bytes from `address` on; returns whether that was granted."""
    return _advised(address, size, _NO_HUGE_PAGE)


def put_packed_on_huge_pages(packed: torch.Tensor) -> bool:
    """Do so for a weight in oneDNN's own layout, whose memory has an address but no strides."""
    address: int = torch.ops.mkldnn.data_ptr(packed)
    return put_on_huge_pages(address, packed.numel() * packed.itemsize)


def _advised(address: int, size: int, advice: int) -> bool:
    begin = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - begin
    if not sys.platform.startswith("linux") or length <= 0:
        return False
    madvise = ctypes.CDLL(None, use_errno=True).madvise
    madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    granted: bool = madvise(begin, length, advice) == 0
    return granted
