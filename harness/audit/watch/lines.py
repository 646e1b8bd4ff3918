"""Finds the line of a change nothing else located: compares after every line of a second run of the call."""

from __future__ import annotations

import contextlib
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.audit.scope import PACKAGE_ROOT
from harness.audit.state.restore import differs, hold, raw_bytes
from harness.audit.watch.classify import write_kind
from harness.audit.watch.events import Write
from harness.audit.watch.locate import NOWHERE, Place, place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    import torch

    from harness.audit.state.checkpoint import Checkpoint
    from harness.audit.state.graph import Node

BUDGET = 8.0


class LineWatch:
    """A trace function that asks after every line whether one of the probes says `changed`."""

    def __init__(self, probes: dict[int, Callable[[], bool]]) -> None:
        self._probes = dict(probes)
        self._last: tuple[FrameType, int] | None = None
        self._end = time.monotonic() + BUDGET
        self.found: dict[int, Place] = {}

    def __call__(self, frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - a trace function
        if frame.f_code.co_filename.startswith(PACKAGE_ROOT) or not self._probes:
            return None
        if time.monotonic() > self._end:
            return None
        if self._last is not None:
            self.look()
        at = frame.f_back if event == "return" else frame
        self._last = (at, at.f_lineno) if at is not None else None
        return self

    def look(self) -> None:
        for key, changed in list(self._probes.items()):
            if changed() and self._last is not None:
                self.found[key] = place_of(*self._last)
                del self._probes[key]


def _probe(node: Node, checkpoint: Checkpoint, after: np.ndarray[Any, Any] | None) -> Callable[[], bool]:
    held = checkpoint.held_by(node)
    if node.role == "iterator":
        now = hold(node)  # it cannot be set back to what it was when the audit began
        return lambda: hold(node) != now
    if after is None or held.kept is None:
        return lambda: differs(node, held)
    # One changed byte is enough to watch: comparing all of a tensor after every line would take too long.
    where = int(np.flatnonzero(after != held.kept)[0])
    before = int(held.kept[where])
    return lambda: _byte_of(node.value, where) != before


def _byte_of(value: torch.Tensor | np.ndarray[Any, Any], where: int) -> int | None:
    live = raw_bytes(value)
    return int(live[where]) if live is not None and where < live.nbytes else None


def locate(
    call: Callable[[Any], Any], request: object, nodes: list[Node], checkpoint: Checkpoint
) -> Iterator[Write]:  # fmt: skip
    """The writes that changed `nodes`, with their lines where a run of `request` shows them."""
    call_quietly(call, request)
    afters = {}
    for node in nodes:
        after = raw_bytes(node.value) if node.role in {"tensor", "array"} else None
        kept = checkpoint.held_by(node).kept
        usable = after is not None and kept is not None and after.shape == kept.shape and bool((after != kept).any())
        afters[id(node.value)] = after.copy() if usable and after is not None else None
    checkpoint.restore()
    watcher = LineWatch({id(node.value): _probe(node, checkpoint, afters[id(node.value)]) for node in nodes})
    threading.settrace(watcher)
    sys.settrace(watcher)
    try:
        call_quietly(call, request)
    finally:
        sys.settrace(None)
        threading.settrace(None)
    watcher.look()
    for node in nodes:
        place = watcher.found.get(id(node.value), NOWHERE)
        if node.role in {"tensor", "array"}:
            kind: Any = "in-place tensor write" if node.role == "tensor" else "in-place array write"
            yield Write(node.path, kind, "a write to its memory", place, node.path, "content")
        elif node.role == "cache":
            yield Write(node.path, "lru_cache growth", "a new entry", place, node.path, "nothing")
        else:
            yield from _slots(node, checkpoint, place)


def _slots(node: Node, checkpoint: Checkpoint, place: Place) -> Iterator[Write]:
    if node.role in {"container", "cell", "object", "iterator"}:
        yield Write(node.path, write_kind(node.path, {}), "a write from C", place, node.path, "content")
        return
    held = dict(checkpoint.held_by(node).seen)
    now = dict(vars(node.value) if node.role == "class" else node.value)
    for name in [*held, *(name for name in now if name not in held)]:
        if str(name).startswith("__") or held.get(name, _slots) is now.get(name, _slots):
            continue
        path = node.path.attribute(str(name))
        yield Write(path, write_kind(path, node.value), "a write from C", place, path, "slot")


def call_quietly(call: Callable[[Any], Any], request: object) -> None:
    """Run a call for what it does to shared state; what it returns or raises is judged elsewhere."""
    with contextlib.suppress(Exception):
        call(request)
