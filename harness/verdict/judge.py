"""From cells to a verdict per subject, and from those to the run's exit status."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from harness.verdict.cells import BASELINE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from harness.verdict.cells import CellSummary

PROTECTED = "stateless"
PROOF = "upstream-shared"
# Nothing keeps the threads of these apart: if they look clean, the run could not see.
UNPROTECTED = frozenset({PROOF, "seed-plan"})

EXIT_PROVEN = 0
EXIT_UNSAFE = 1
EXIT_USAGE = 2
EXIT_INCONCLUSIVE = 3


class Status(StrEnum):
    """What a run says about a subject."""

    SAFE = "SAFE"
    UNSAFE = "UNSAFE"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Verdict:
    """A status and why, in one line."""

    status: Status
    reason: str


@dataclass(frozen=True)
class RunVerdict:
    """What the whole run proved, and the exit status that says so."""

    status: Status
    exit_status: int
    reason: str


@dataclass(frozen=True)
class Control:
    """A fresh process made the reference outputs of some requests again; `matched` of them agreed."""

    requests: int
    matched: int
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.requests > 0 and self.matched == self.requests


def judge_subject(  # noqa: PLR0911 - a list of rules, each of which ends the matter
    name: str, cells: Sequence[CellSummary], control: Control | None
) -> Verdict:
    """Judge one subject by its cells; without a sound reference nothing is concluded."""
    if control is not None and not control.ok:
        message = f"a fresh process reproduced {control.matched} of {control.requests} references"
        return Verdict(Status.INCONCLUSIVE, f"{message}. {control.detail}".strip())
    ran = [cell for cell in cells if cell.not_run is None]
    if fault := _worst(ran):
        return Verdict(Status.UNSAFE, fault)
    calls = sum(cell.utterances for cell in ran)
    counts = ", ".join(str(cell.threads) for cell in ran)
    clean = f"all {calls} outputs bit-identical"
    if not ran or len(ran) < len(cells):
        return Verdict(Status.INCONCLUSIVE, f"{len(ran)} of {len(cells)} cells were run")
    if any(cell.sequential_after_ok is None for cell in ran):
        return Verdict(Status.INCONCLUSIVE, f"{clean}, but nothing was run one at a time afterwards")
    if max(cell.threads for cell in ran) == 1:
        return Verdict(Status.INCONCLUSIVE, f"{clean}, but only one thread was tried")
    if name in UNPROTECTED:
        reason = f"{clean}, but nothing protects this subject: this run could not see what it must"
        return Verdict(Status.INCONCLUSIVE, reason)
    if name == BASELINE:
        return Verdict(Status.SAFE, f"{clean}, one call at a time, beside {counts} threads")
    return Verdict(Status.SAFE, f"{clean} at {counts} threads, and one at a time afterwards")


def judge_run(verdicts: Mapping[str, Verdict]) -> RunVerdict:
    """Decide what the run proved: `stateless` is safe, and the run can see what is not."""
    protected, proof = verdicts.get(PROTECTED), verdicts.get(PROOF)
    if protected is not None and protected.status is Status.UNSAFE:
        return RunVerdict(Status.UNSAFE, EXIT_UNSAFE, f"{PROTECTED} is UNSAFE: {protected.reason}")
    for name, verdict in ((PROTECTED, protected), (PROOF, proof)):
        if verdict is None:
            reason = f"{name} was not run; both {PROTECTED} and {PROOF} are needed for a proof"
            return RunVerdict(Status.INCONCLUSIVE, EXIT_INCONCLUSIVE, reason)
    for name in (PROTECTED, *sorted(UNPROTECTED)):
        verdict = verdicts.get(name)
        if verdict is not None and verdict.status is Status.INCONCLUSIVE:
            reason = f"{name} is INCONCLUSIVE: {verdict.reason}"
            return RunVerdict(Status.INCONCLUSIVE, EXIT_INCONCLUSIVE, reason)
    reason = f"{PROTECTED} is SAFE, and the same run caught {PROOF}"
    return RunVerdict(Status.SAFE, EXIT_PROVEN, reason)


def _worst(cells: Sequence[CellSummary]) -> str:
    """Say how many calls went wrong and how; empty if none did."""
    kinds = (
        ("shape corruption", sum(cell.shape_corruptions for cell in cells)),
        ("value corruption", sum(cell.value_corruptions for cell in cells)),
        ("crash", sum(cell.crashes for cell in cells)),
        ("hang", sum(cell.hangs for cell in cells)),
    )
    parts = [f"{count} x {kind}" for kind, count in kinds if count]
    where = sorted({cell.threads for cell in cells if cell.bit_identical < cell.utterances})
    text = ", ".join(parts)
    if where:
        calls = sum(cell.utterances for cell in cells)
        text = f"{text} in {calls} calls, at {', '.join(map(str, where))} threads"
    dirty = sorted({cell.threads for cell in cells if cell.sequential_after_ok is False})
    if dirty:
        after = f"one at a time after {', '.join(map(str, dirty))} threads it still differed"
        text = f"{text}; {after}" if text else after
    return text
