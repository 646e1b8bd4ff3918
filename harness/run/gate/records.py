"""What the gate observes, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

BASE: Literal["base"] = "base"
HEAD: Literal["head"] = "head"
Revision = Literal["base", "head"]


@dataclass(frozen=True)
class CellPlan:
    """So many calls from so many workers."""

    subject: str
    workers: int
    calls: int


@dataclass(frozen=True)
class GateCell:
    """What a cell took.

    Attributes:
        subject: `stateless`, the wrapper, or `engine`.
        workers: threads that call.
        calls: made.
        wall_s: from the first call's start to the last one's end.
        cpu_s: processor time of the process meanwhile, all its threads.
        audio_s: seconds of audio that came out.
        before_mib: resident memory before.
        peak_mib: highest resident memory meanwhile.
        wrong: outputs that had other bits than the same request alone.
    """

    subject: str
    workers: int
    calls: int
    wall_s: float
    cpu_s: float
    audio_s: float
    before_mib: float
    peak_mib: float
    wrong: int = 0


@dataclass(frozen=True)
class Turn:
    """One revision's share of a round.

    Attributes:
        revision: whose process worked.
        cells: in the order they ran.
        controls: seconds of each control kernel, by name.
        loaded_mib: resident memory of the process when the model was loaded and nothing had been called.
        foreign_share: share of the cores that other programs used meanwhile; None where the system does not tell.
        injected: share by which one stage was slowed down on purpose.
    """

    revision: Revision
    cells: tuple[GateCell, ...]
    controls: dict[str, float]
    loaded_mib: float
    foreign_share: float | None = None
    injected: float = 0.0


@dataclass(frozen=True)
class Round:
    """Turns of both revisions; over one round, or two of a short gate, ABBA: what drifts evenly falls out.

    Attributes:
        run: which fresh pair of processes, from 1.
        number: within the run, from 0.
        turns: in the order they were taken.
        clock_jump_s: by how much the time of day and the monotonic clock disagree about the round's length.
    """

    run: int
    number: int
    turns: tuple[Turn, ...]
    clock_jump_s: float = 0.0


@dataclass(frozen=True)
class ThreadedBits:
    """Outputs of calls that overlapped, held against sequential stock.

    Attributes:
        threads: who called.
        calls: how many calls there were.
        wrong: how many outputs had other bits.
        at_once: the most calls that were under way at once, where each waits for the others in its midst.
    """

    threads: int
    calls: int
    wrong: int
    at_once: int = 0


@dataclass(frozen=True)
class RevisionCounts:
    """What a revision's process counted; the same on every machine with the same versions of everything.

    Attributes:
        revision: whose.
        requests: how many were spoken one at a time, of every family.
        equal_to_stock: how many of them, one at a time, had the bits of sequential stock.
        first_unequal: which one had not, in words; empty if none.
        threaded: the same for English calls that overlapped.
        tokens: of each English request.
        samples: of each English request.
        tensor_ops: operations on tensors, all English requests together.
        weight_bytes: bytes of the model's parameters and buffers that operations were given, all of these together.
        weight_writes: operations that wrote to a parameter or a buffer of the model.
        process_draws: draws from a process-wide generator.
        generators_moved: process-wide generators whose state changed.
    """

    revision: Revision
    requests: int
    equal_to_stock: int
    first_unequal: str
    threaded: tuple[ThreadedBits, ...]
    tokens: tuple[int, ...]
    samples: tuple[int, ...]
    tensor_ops: int
    weight_bytes: int
    weight_writes: int
    process_draws: int
    generators_moved: tuple[str, ...]


@dataclass(frozen=True)
class CommandOutcome:
    """How one of the harness's own commands ended on the working tree.

    Attributes:
        name: `stress`, `audit` or `hazards`.
        exit_status: 0 is as it should be; None if it was not run, and `detail` says why.
        headline: its own words.
        figures: what it counted that should not be there, such as writes to shared state.
        detail: the end of what it wrote to standard error, if it failed.
    """

    name: str
    exit_status: int | None
    headline: str
    figures: dict[str, int] = field(default_factory=dict)
    detail: str = ""
