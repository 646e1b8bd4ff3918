"""What the audit touches in the process, kept and put back whatever happens in between."""

from __future__ import annotations

import contextlib
import gc
import random
import sys
import threading
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def process_left_as_found() -> Iterator[None]:
    """Put back trace and profile functions, the switch interval, and the state of the process-wide generators."""
    trace, profile, interval = sys.gettrace(), sys.getprofile(), sys.getswitchinterval()
    thread_trace, thread_profile = threading.gettrace(), threading.getprofile()
    torch_state, numpy_state, python_state = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002 - the legacy generator is the one subjects draw from
    try:
        yield
    finally:
        sys.settrace(trace)
        sys.setprofile(profile)
        threading.settrace(thread_trace)
        threading.setprofile(thread_profile)
        sys.setswitchinterval(interval)
        torch.set_rng_state(torch_state)
        np.random.set_state(numpy_state)  # noqa: NPY002 - as above
        random.setstate(python_state)


@contextlib.contextmanager
def no_garbage_collected() -> Iterator[None]:
    """While many objects that stay are made, Python looks through all of them again and again: half of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
