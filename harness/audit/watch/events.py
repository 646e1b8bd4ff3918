"""What an observed call did to shared state, one record per kind of write or draw and place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.audit.state.paths import Path
    from harness.audit.watch.locate import Place

WriteKind = Literal[
    "attribute rebinding", "container item", "in-place tensor write", "in-place array write", "module global",
    "hook registration", "configuration", "lru_cache growth",
]  # fmt: skip
Holds = Literal["slot", "content", "nothing"]
PROCESS_WIDE = "process-wide"
OWN = "own"
OF_A_SPARSE_TENSOR = " of a sparse tensor"


@dataclass(frozen=True)
class Write:
    """One write to shared state.

    Attributes:
        path: from the shared root to what was written.
        kind: what sort of state that is.
        operation: how it was written: an opcode, a method or a tensor operation.
        place: where.
        owner: what has to be put back to undo it: the path of the attribute, container, tensor or array.
        holds: whether `owner` is a slot that was bound again, or something whose content changed.
        same_value: whether the object already there was stored again.
        guard: the lock of the written object itself, if it was held meanwhile.
    """

    path: Path
    kind: WriteKind
    operation: str
    place: Place
    owner: Path
    holds: Holds = "slot"
    same_value: bool = False
    guard: Path | None = None

    @property
    def key(self) -> tuple[str, str, str]:
        return (str(self.path), self.kind, self.place.location)


@dataclass(frozen=True)
class Draw:
    """One random draw, or the seeding of a generator.

    Attributes:
        op: the operation, as torch, numpy or `random` call it.
        generator: `process-wide ...`, `shared ...` (a generator reachable from the shared roots) or `own`.
        place: where.
    """

    op: str
    generator: str
    place: Place

    @property
    def isolated(self) -> bool:
        return self.generator == OWN

    @property
    def key(self) -> tuple[str, str, str]:
        return (self.op, self.generator, self.place.location)


@dataclass
class Record:
    """What was seen, merged by place; `add_*` is called from the observed threads."""

    writes: dict[tuple[str, str, str], list[Write]] = field(default_factory=dict)
    draws: dict[tuple[str, str, str], list[Draw]] = field(default_factory=dict)
    counts: dict[tuple[str, str, str], int] = field(default_factory=dict)
    unguarded: set[tuple[str, str, str]] = field(default_factory=set)
    changing: set[tuple[str, str, str]] = field(default_factory=set)

    def add_write(self, write: Write) -> None:
        known = self.writes.setdefault(write.key, [])
        self.counts[write.key] = self.counts.get(write.key, 0) + 1
        if write.guard is None:
            self.unguarded.add(write.key)
        if not write.same_value:
            self.changing.add(write.key)
        if all(write.place.sites[:1] != other.place.sites[:1] for other in known):
            known.append(write)

    def add_draw(self, draw: Draw) -> None:
        known = self.draws.setdefault(draw.key, [])
        self.counts[draw.key] = self.counts.get(draw.key, 0) + 1
        if not known:
            known.append(draw)
