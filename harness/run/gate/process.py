"""A warm process for one revision, and the questions it is asked over its pipe."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import harness
from harness.errors import HarnessError
from harness.run.gate.records import CellPlan, GateCell, Revision, RevisionCounts, ThreadedBits, Turn

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

HARNESS_ROOT = Path(harness.__file__).resolve().parents[1]
BOOTSTRAP = Path(__file__).with_name("bootstrap.py")
LOAD_WITHIN_S, ANSWER_WITHIN_S, END_WITHIN_S = 300.0, 300.0, 15.0
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
# glibc gives threads heaps of their own, and which thread gets which decides what each keeps and how often it is given
# back: on one heap, memory and processor time of equal processes are much nearer to each other.
ONE_HEAP = {"MALLOC_ARENA_MAX": "1"}
LAST_LINES = 8


class RevisionProcessError(HarnessError):
    """A revision's process could not be loaded, failed at its work, or did not answer."""


class RevisionProcess:
    """Context manager: `python` in the tree of one revision, with that tree's `stateless_tts`.

    Args:
        revision: `base` or `head`.
        tree: where the revision's files are.
        name: for messages, such as `base 1a2b3c4`.
    """

    def __init__(self, revision: Revision, tree: Path, name: str) -> None:
        self.revision = revision
        self.name = name
        self._answers: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._log: list[str] = []
        self._process = subprocess.Popen(  # noqa: S603 - runs this package's own file
            [sys.executable, str(BOOTSTRAP), str(tree), str(HARNESS_ROOT)],
            cwd=tree,
            env=environment(tree),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._readers = (
            threading.Thread(target=self._read_answers, args=(self._process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self._process.stderr,), daemon=True),
        )
        for reader in self._readers:
            reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._process.poll() is None:
            self._send({"ask": "stop"})
            try:
                self._process.wait(END_WITHIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        else:
            self._process.kill()
        self._process.wait()
        for reader in self._readers:
            reader.join()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:  # what was never read by a process that has gone
                continue

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    def start_loading(self) -> None:
        """Let it import everything and build the model; `loaded` waits for it."""
        self._send({"ask": "load", "revision": self.revision})

    def loaded(self) -> tuple[str, ...]:
        """Wait until it has; return what it can be timed with."""
        return tuple(self._receive(LOAD_WITHIN_S)["subjects"])

    def start_counting(self, families: Sequence[str]) -> None:
        """Let it count everything that is the same on every machine; `counted` waits for it.

        `families`: those beside English that are held against stock too.
        """
        self._send({"ask": "count", "families": list(families)})

    def counted(self) -> RevisionCounts:
        """Wait until it has; return what it counted."""
        found = self._receive(ANSWER_WITHIN_S)
        found["threaded"] = tuple(ThreadedBits(**one) for one in found["threaded"])
        plain: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in found.items()
        }
        return RevisionCounts(**plain)

    def start_warming_up(self, subjects: Sequence[str], *, slowable: bool = False) -> None:
        """Let it speak every timed request once; `warmed_up` waits for it. `slowable`: turns may be slowed down."""
        self._send({"ask": "warm up", "subjects": list(subjects), "slowable": slowable})

    def warmed_up(self) -> None:
        """Wait until it has."""
        self._receive(ANSWER_WITHIN_S)

    def turn(self, cells: Sequence[CellPlan], injected: float = 0.0) -> Turn:
        """Let it run `cells`, with one stage slowed down so that a call takes `injected` of itself longer."""
        self._send({"ask": "turn", "cells": [vars(cell) for cell in cells], "injected": injected})
        found = self._receive(ANSWER_WITHIN_S)
        return Turn(**{**found, "cells": tuple(GateCell(**cell) for cell in found["cells"])})

    def _send(self, question: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(question) + "\n")
            self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            # It has ended: its last answer says why, and is read next.
            return

    def _receive(self, within_s: float) -> dict[str, Any]:
        try:
            line = self._answers.get(timeout=within_s)
        except queue.Empty:
            raise RevisionProcessError(f"{self.name} did not answer within {within_s:g} s") from None
        if line is None:
            last = " | ".join(self._log[-2:]) or "it wrote nothing"
            raise RevisionProcessError(f"the process of {self.name} has ended without an answer: {last}")
        answer: dict[str, Any] = json.loads(line)
        if "error" not in answer:
            return answer
        what = {
            "import": "does not build: importing it failed",
            "load": "does not build: its model could not be made",
            "count": "failed while its outputs were counted",
            "warm up": "failed while it was warmed up",
            "turn": "failed while it was timed",
        }[answer["error"]]
        raise RevisionProcessError(f"{self.name} {what}: {answer['message']}")

    def _read_answers(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._answers.put(line)
        self._answers.put(None)

    def _read_log(self, pipe: IO[str]) -> None:
        for line in pipe:
            self._log = [*self._log, line.rstrip()][-LAST_LINES:]


def environment(tree: Path) -> dict[str, str]:
    """Variables for a process that works in `tree`: one thread for an operation, no model hub, no other path."""
    inherited = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "PYTHONSAFEPATH"}}
    fixed = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "TQDM_DISABLE": "1", "PYTHONPATH": str(tree)}
    return {**inherited, **OFFLINE, **ONE_HEAP, **fixed}
