"""What a soak has seen, as data. Nothing here is a conclusion."""

from __future__ import annotations

from dataclasses import dataclass

SOAK, WARM_UP = "soak", "warm-up"


@dataclass(frozen=True)
class SoakReference:
    """What stock, run alone, makes of a request.

    Attributes:
        request: its key.
        sha256: of the audio.
        file_sha256: of the audio as the file that the outputs are written as.
        samples: of audio.
        seconds: that stock took.
    """

    request: str
    sha256: str
    file_sha256: str
    samples: int
    seconds: float


@dataclass(frozen=True)
class Submission:
    """A segment that was handed in, and the fault that was planned for it; empty for none."""

    index: int
    request: str
    fault: str


@dataclass(frozen=True)
class SegmentEnding:
    """A result that came back.

    Attributes:
        index: of the segment.
        success: what the result says of itself.
        sha256: of the audio; empty without audio.
        samples: of audio.
        peak: largest absolute sample.
        error: names of the exception's classes, from its own to the base; empty if there is none.
        message: what it says.
        worker_id: as the result tells.
        file_sha256: of the file that was written, as it was read back when all was done; empty without one.
        file_error: names of the classes of the exception that writing failed with.
        seconds: that its worker spent on it.
    """

    index: int
    success: bool
    sha256: str = ""
    samples: int = 0
    peak: float = 0.0
    error: tuple[str, ...] = ()
    message: str = ""
    worker_id: int = -1
    file_sha256: str = ""
    file_error: tuple[str, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class SoakRound:
    """One processor, from its start to its end.

    Attributes:
        phase: `soak`, or the name of a defect that was planted to see whether it is caught.
        number: counts the rounds of the phase.
        seconds: wall time.
        shut_down: whether the processor was shut down before all had been handed in.
        submissions: in the order in which they were handed in.
        endings: in the order in which they came.
        fired: index and fault of each fault that did happen.
        threads_before: names of the threads that ran before it.
        threads_after: names of those that ran after it.
        memory_mib: resident memory after it.
        workers_replaced: as the processor counts.
        retried: segments given to a second worker, as the processor counts.
    """

    phase: str
    number: int
    seconds: float
    shut_down: bool
    submissions: tuple[Submission, ...]
    endings: tuple[SegmentEnding, ...]
    fired: tuple[tuple[int, str], ...]
    threads_before: tuple[str, ...]
    threads_after: tuple[str, ...]
    memory_mib: float
    workers_replaced: int
    retried: int


@dataclass(frozen=True)
class BatchRun:
    """One process of `stateless-tts batch`.

    Attributes:
        fault: what was done to it: `SIGKILL`, `SIGINT`, `disk full`, or empty.
        fired: whether that happened while it ran.
        exit_status: negative for the signal that ended it.
        traceback: whether it showed one.
        before: SHA-256 by name of the files that were there before it.
        after: SHA-256 by name of the files that were there after it.
        partial: names of files that were left half-written.
        statuses: of the items, by name, as its manifest tells; empty if it left none.
        errors: by name, as its manifest tells.
    """

    fault: str
    fired: bool
    exit_status: int
    traceback: bool
    before: dict[str, str]
    after: dict[str, str]
    partial: tuple[str, ...]
    statuses: dict[str, str]
    errors: dict[str, str]


@dataclass(frozen=True)
class BatchCycle:
    """A batch that was ended again and again, and resumed until it was complete.

    Attributes:
        expected: SHA-256 by name of the files that stock, run alone, comes to.
        runs: one after the other, on the same folder; the last is left alone.
    """

    expected: dict[str, str]
    runs: tuple[BatchRun, ...]
