"""Which code and which objects an audit looks into, and which it takes as given.

Synchronisation primitives, thread-locals and loggers are taken as given: they are made to be used by several
threads at once. So are the standard library, torch and numpy as packages; objects of their classes are not.
"""

from __future__ import annotations

import concurrent.futures
import enum
import logging
import queue
import re
import sys
import sysconfig
import threading
import types
import weakref
from functools import lru_cache
from pathlib import Path

PACKAGE_ROOT = str(Path(__file__).parent)
STANDARD_LIBRARY = sysconfig.get_paths()["stdlib"]
FOUNDATION = frozenset(
    {"torch", "numpy", "harness", "pytest", "_pytest", "pluggy", "hypothesis", "tqdm", "scipy", "numba", "llvmlite"}
)
SUBJECTS_OF_OURS = ("harness.power.fault", "harness.subjects")
SETTERS = frozenset({"__setattr__", "__delattr__", "__setitem__", "__delitem__"})
PLAIN_VALUES = (
    str, bytes, int, float, complex, bool, type(None), type(Ellipsis), type(NotImplemented), range, slice,
    re.Pattern, Path, enum.Enum, types.CodeType, types.FrameType, types.MappingProxyType, property,
)  # fmt: skip
SYNCHRONISED = (
    threading.local, type(threading.Lock()), type(threading.RLock()), threading.Condition, threading.Semaphore,
    threading.Event, threading.Barrier, threading.Thread, queue.Queue, queue.SimpleQueue,
    concurrent.futures.Executor, concurrent.futures.Future, logging.Logger, logging.Handler, logging.LoggerAdapter,
    weakref.ref,
)  # fmt: skip


@lru_cache(maxsize=4096)
def is_plumbing(filename: str) -> bool:
    """Whether a stack is read past this file to find the line that a person wrote."""
    if filename.startswith("<"):
        return True
    if filename.startswith(PACKAGE_ROOT):
        return True
    parts = Path(filename).parts
    if "site-packages" in parts:
        package = parts[parts.index("site-packages") + 1]
        return package in {"torch", "numpy"}
    return filename.startswith(STANDARD_LIBRARY)


@lru_cache(maxsize=4096)
def is_audited_package(module_name: str) -> bool:
    """Whether the module's globals and the class attributes defined in it are looked at."""
    if module_name.startswith(SUBJECTS_OF_OURS):
        return True
    top = module_name.partition(".")[0]
    return bool(top) and top not in FOUNDATION and top not in sys.stdlib_module_names


def is_own_module(module: types.ModuleType) -> bool:
    """Whether a module that audited code refers to is looked at although none of its code has run: if not installed."""
    known = vars(module)  # a lazy module would import itself if it was asked for an attribute
    file, name = known.get("__file__") or "", known.get("__name__") or ""
    return is_audited_package(name) and bool(file) and "site-packages" not in file
