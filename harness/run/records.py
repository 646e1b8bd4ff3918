"""What a run leaves behind: plain values, ready to be saved, without any judgement."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Ending(StrEnum):
    """How a call ended, as seen from outside."""

    RETURNED = "returned"
    RAISED = "raised"
    HUNG = "hung"
    NOT_STARTED = "not_started"


@dataclass(frozen=True)
class TensorMark:
    """A tensor's fingerprint: equal marks mean equal bits in an equal shape."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class RaisedError:
    """An exception as data: `kinds` are the names of its class and of all its base classes."""

    kinds: tuple[str, ...]
    message: str
    traceback: tuple[str, ...]
    cause: RaisedError | None = None


@dataclass(frozen=True)
class CallRecord:
    """One call of a subject.

    Attributes:
        request: index of the request in the subject's list of distinct requests.
        worker: index of the worker thread that made the call; -1 if none did.
        started_s: seconds from the start of the cell; `None` if the call never began.
        ended_s: seconds from the start of the cell; `None` if the call never ended.
        ending: how the call ended.
        output: the returned tensor's mark.
        samples: length of the returned tensor's last axis, 0 if nothing was returned.
        error: what was raised.
        stages: marks of the stage outputs that this call passed through, in the order of their making.
    """

    request: int
    worker: int
    started_s: float | None
    ended_s: float | None
    ending: Ending
    output: TensorMark | None = None
    samples: int = 0
    error: RaisedError | None = None
    stages: dict[str, tuple[TensorMark, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class CellMeasurement:
    """One subject at one thread count.

    Attributes:
        subject: the subject's name.
        threads: the thread count of this round; what the cell is filed under.
        workers: how many threads really called: 1 for a subject that is run one call at a time.
        references: key of the reference outputs to compare with.
        calls: the parallel phase.
        after: the same requests, one at a time, after the parallel phase.
        wall_s: seconds from the barrier to the end of the last call of the parallel phase.
        rss_before_mib: resident memory before the cell, MiB.
        peak_rss_mib: highest resident memory sampled during the parallel phase, MiB.
        not_run: why the cell was not run; `None` if it was.
    """

    subject: str
    threads: int
    workers: int
    references: str
    calls: tuple[CallRecord, ...] = ()
    after: tuple[CallRecord, ...] = ()
    wall_s: float = 0.0
    rss_before_mib: float = 0.0
    peak_rss_mib: float = 0.0
    not_run: str | None = None
