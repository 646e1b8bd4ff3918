"""What an audit says, as plain values, and as the data of `audit.json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from harness.verdict.saved import save_result

if TYPE_CHECKING:
    from pathlib import Path

Verdict = Literal["SAFE", "UNSAFE", "INCONCLUSIVE"]
SCHEMA = 1
FILE = "audit.json"
NEEDED = frozenset({"subject", "verdict", "reason", "writes", "draws", "guarded", "stress", "facts"})


@dataclass(frozen=True)
class JudgedWrite:
    """One line that writes shared state, judged.

    Attributes:
        path: dotted path from the shared root to what is written.
        kind: of state: `attribute rebinding`, `container item`, `in-place tensor write`, ...
        location: `file:line`, or `unknown`.
        harmful: True, False for benign, None for undecided.
        evidence: what was run and what came of it.
        operations: how it is written.
        remedies: name, result and evidence of each remedy tried.
        schedule: the interleaving that shows the harm, if one does.
        stack: the stack at the write, outermost frame first.
        paths: all paths this line writes, if there are several.
        count: how often the write was seen.
        guard: the lock of the written object itself that was held at every one of these writes, if there was one.
    """

    path: str
    kind: str
    location: str
    harmful: bool | None
    evidence: str
    operations: tuple[str, ...] = ()
    remedies: tuple[dict[str, str], ...] = ()
    schedule: dict[str, Any] | None = None
    stack: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    count: int = 1
    guard: str = ""


@dataclass(frozen=True)
class JudgedDraw:
    """One line that draws at random, or seeds a generator.

    Attributes:
        op: the operation.
        generator: `process-wide ...`, `shared ...` or `own`.
        location: `file:line`, or `unknown`.
        harmful: True, False, or None for undecided; always False for an own generator.
        evidence: what was run and what came of it.
        remedies: as of a write.
        stack: the stack at the draw, outermost frame first.
        count: how often it was seen.
    """

    op: str
    generator: str
    location: str
    harmful: bool | None = False
    evidence: str = ""
    remedies: tuple[dict[str, str], ...] = ()
    stack: tuple[str, ...] = ()
    count: int = 1


@dataclass(frozen=True)
class StressSummary:
    """What plain concurrent runs showed."""

    threads: int = 0
    calls: int = 0
    changed: int = 0
    example: str = ""
    unfinished: int = 0


@dataclass(frozen=True)
class AuditResult:
    """The verdict on one subject, and all it rests on.

    Attributes:
        subject: its name.
        verdict: `SAFE`, `UNSAFE` or `INCONCLUSIVE`.
        reason: the verdict in one sentence.
        writes: to shared state.
        draws: from any generator.
        guarded: shared objects that were written only behind a lock of their own.
        stress: what plain concurrent runs showed.
        facts: requests audited, times, the audit's own slow-down, how stores were read.
        environment: machine, versions and commit.
    """

    subject: str
    verdict: Verdict
    reason: str
    writes: tuple[JudgedWrite, ...] = ()
    draws: tuple[JudgedDraw, ...] = ()
    guarded: tuple[dict[str, Any], ...] = ()
    stress: StressSummary = StressSummary()
    facts: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}

    def save(self, folder: Path) -> Path:
        """Write `audit.json` into `folder` and return its path."""
        return save_result(self.as_json(), folder / FILE)
