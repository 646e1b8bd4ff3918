"""Objects that keep themselves consistent: written, and read, only while a lock of their own is held.

A write of that sort is still tried like any other. Only if no schedule harms it, and if no line reads what it
writes without the lock, it is listed as guarded instead of as a write.
"""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.audit import value_stack
from harness.audit.scope import PACKAGE_ROOT
from harness.audit.state.paths import Path, follow, own_dictionary
from harness.audit.watch.locate import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from types import CodeType, FrameType

    from harness.audit.findings import Finding

LOCK = type(threading.Lock())
REENTRANT = type(threading.RLock())
NEAREST = 2  # how far above what is written its lock may be: the object itself, or the one that holds the container
READS = frozenset({"LOAD_ATTR", "LOAD_METHOD"})


def is_held(lock: Any) -> bool:  # noqa: ANN401 - a lock of either kind
    return bool(lock.locked()) if isinstance(lock, LOCK) else bool(lock._is_owned())  # noqa: SLF001 - nothing public says it


def guard_of(path: Path, roots: Mapping[str, object]) -> Path | None:
    """The lock, if one is held, of the object that holds what is at `path`."""
    for up in range(1, NEAREST + 1):
        if path.of_module or len(path.steps) < up:
            return None
        above = Path(path.root, path.steps[:-up])
        for name, value in (own_dictionary(follow(above, roots)) or {}).items():
            if isinstance(value, LOCK | REENTRANT) and is_held(value):
                return above.attribute(name)
    return None


@dataclass(frozen=True)
class Guarded:
    """An attribute of an object with a lock of its own."""

    owner: object
    name: str
    lock: object


def guarded_attribute(finding: Finding, guard: Path, roots: Mapping[str, object]) -> Guarded | None:
    """What has to be read under the lock for `finding` to be guarded."""
    above = Path(guard.root, guard.steps[:-1])
    owner, lock = follow(above, roots), follow(guard, roots)
    for cell in finding.cells:
        if cell.owner.starts_with(above) and len(cell.owner.steps) > len(above.steps):
            return Guarded(owner, str(cell.owner.steps[len(above.steps)].key), lock)
    return None


class ReadWatch:
    """A trace function that notes every read of the given attributes made without their lock."""

    def __init__(self, watched: Iterable[Guarded]) -> None:
        self._watched = tuple(watched)
        self._names = {guarded.name for guarded in self._watched}
        self._plans: dict[CodeType, dict[int, str]] = {}
        self.bare: dict[tuple[int, str], str] = {}

    def __call__(self, frame: FrameType, _event: str, _argument: object) -> Callable[..., Any] | None:
        code = frame.f_code
        if code.co_filename.startswith(PACKAGE_ROOT) or not self._names & set(code.co_names):
            return None
        if code not in self._plans:
            self._plans[code] = _reads(code, self._names)
        frame.f_trace_opcodes = True
        return self._on_event

    def _on_event(self, frame: FrameType, event: str, _argument: object) -> Callable[..., Any]:
        name = self._plans[frame.f_code].get(frame.f_lasti) if event == "opcode" else None
        if name is not None:
            owner = value_stack.operand(frame, 1)
            for guarded in self._watched:
                if guarded.owner is owner and guarded.name == name and not is_held(guarded.lock):
                    self.bare[id(owner), name] = place_of(frame).location
        return self._on_event


def _reads(code: CodeType, names: set[str]) -> dict[int, str]:
    import dis  # noqa: PLC0415 - only here

    return {found.offset: found.argval for found in dis.get_instructions(code)
            if found.opname in READS and found.argval in names}  # fmt: skip


def read_bare(
    call: Callable[[Any], Any], requests: Sequence[object], watched: Sequence[Guarded]
) -> dict[tuple[int, str], str]:
    """Run `requests` once more; the location of a read without the lock, for each attribute that has one.

    Where the interpreter's stack cannot be read, who reads what cannot be seen, and every attribute counts as read so.
    """
    if not value_stack.works_here():
        return {(id(guarded.owner), guarded.name): "anywhere" for guarded in watched}
    watcher = ReadWatch(watched)
    for request in requests:
        sys.settrace(watcher)
        try:
            call(request)
        finally:
            sys.settrace(None)
    return watcher.bare
