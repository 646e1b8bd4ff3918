"""Processor time and memory."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import psutil
import torch

from harness.run.bench.usage import Usage, cpu_seconds, memory_kind, memory_mib

if TYPE_CHECKING:
    import pytest


def test_the_peak_is_seen_and_work_is_counted() -> None:
    # Memory of the system, not of a heap that may have room left over from before.
    with Usage() as usage, mmap.mmap(-1, 64 * 2**20) as block:
        block.write(b"\1" * len(block))
        ends_at = time.monotonic() + 30
        while usage.peak_mib < usage.before_mib + 60 and time.monotonic() < ends_at:
            sum(range(10_000))
    assert usage.peak_mib >= usage.before_mib + 60
    assert usage.cpu_s > 0
    assert memory_kind() in {"pss", "rss"}
    assert (usage.gpu_peak_mib is not None) == torch.cuda.is_available()


def test_other_processes_stand_in_for_this_one_and_may_be_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = psutil.Process(child.pid)
    with Usage([child.pid]) as usage:
        assert 0 < usage.before_mib < memory_mib([psutil.Process(os.getpid())])
        child.communicate(b"\n")
    assert memory_mib([process]) == cpu_seconds([process]) == 0.0


def test_what_other_processes_take_of_a_gpu_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.reset_peak_memory_stats", lambda: None)
    monkeypatch.setattr("torch.cuda.max_memory_allocated", lambda: 3 * 2**20)
    with Usage() as ours, Usage([os.getpid()]) as others:
        pass
    assert (ours.gpu_peak_mib, others.gpu_peak_mib) == (3.0, None)
