"""Runs something in a process of its own, forked from this one: if it dies, the audit lives, and says so."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import pickle
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

Made = TypeVar("Made")
READ = 1 << 16


@dataclass(frozen=True)
class Died:
    """The process ended before it could answer.

    Attributes:
        how: the name of the signal that ended it.
    """

    how: str


@dataclass(frozen=True)
class NoAnswer:
    """The process could not be started, did not end in time, or ended without an answer."""

    why: str


def can_fork() -> bool:
    """Whether a forked process could run torch: not with a GPU in use, nor where torch's own threads are missed."""
    with_gpu = torch.cuda.is_initialized()  # type: ignore[no-untyped-call] # torch ships no types for it
    return hasattr(os, "fork") and torch.get_num_threads() == 1 and not with_gpu


def run_apart(work: Callable[[], Made], seconds: float) -> Made | Died | NoAnswer:
    """Run `work` in a forked process for at most `seconds`; what it returns has to be picklable."""
    if not can_fork():
        return NoAnswer("no process could be forked for them")
    reading, writing = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _answer(work, writing)
    os.close(writing)
    try:
        answer = _read(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # it has answered, died, or had its time
        _pid, status = os.waitpid(child, 0)
    if answer:
        made: Made = pickle.loads(answer)  # noqa: S301 - written by this very program
        return made
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) != signal.SIGKILL:
        return Died(signal.Signals(os.WTERMSIG(status)).name)
    return NoAnswer("they did not end in a process of their own")


def _answer(work: Callable[[], object], writing: int) -> None:
    """The life of the forked process: quiet, and without any of the parent's clean-up at its end."""
    try:
        faulthandler.disable()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(pickle.dumps(work()))
    finally:
        os._exit(0)


def _read(reading: int, end: float) -> bytes:
    parts: list[bytes] = []
    while select.select([reading], [], [], max(0.0, end - time.monotonic()))[0]:
        part = os.read(reading, READ)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return b""
