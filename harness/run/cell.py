"""One cell: one subject at one thread count, and the same requests one at a time afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.run.limits import MAX_THREADS
from harness.run.memory import PeakMemory, release_free_memory
from harness.run.records import CellMeasurement
from harness.run.switching import switch_interval
from harness.run.taps import StageTaps
from harness.run.threads import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.subject import Subject

SWITCH_INTERVAL_S = 1e-4


@dataclass(frozen=True)
class CellPlan:
    """What one cell does.

    Attributes:
        threads: the thread count the cell is filed under, 1 to 16.
        workers: how many threads call; fewer than `threads` only for a subject run one call at a time.
        utterances: calls of the parallel phase; the distinct requests are gone through in a circle.
        after: calls made one at a time after the parallel phase.
        patience_s: seconds without any call ending after which the calls under way count as hung.
        references: key of the reference outputs to compare with later.
        switch_interval_s: the interpreter's switch interval during the parallel phase, seconds.
    """

    threads: int
    workers: int
    utterances: int
    after: int
    patience_s: float
    references: str
    switch_interval_s: float = SWITCH_INTERVAL_S

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= self.threads <= MAX_THREADS:
            message = f"need 1 <= workers <= threads <= {MAX_THREADS}, not {self.workers} and {self.threads}"
            raise ValueError(message)


def run_cell(
    subject: Subject,
    requests: Sequence[object],
    plan: CellPlan,
    on_call: Callable[[], None] = lambda: None,
) -> CellMeasurement:
    """Run one cell and return what was measured; `on_call` is told of every call that ends."""
    release_free_memory()
    taps = StageTaps(subject.shared)

    def phase(calls: int, workers: int) -> Phase:
        schedule = [place % len(requests) for place in range(calls)]
        return Phase(subject, requests, schedule, taps, workers=workers, patience_s=plan.patience_s, on_call=on_call)

    with taps.installed():
        with PeakMemory() as memory, switch_interval(plan.switch_interval_s):
            parallel = phase(plan.utterances, plan.workers).run()
        # With a call still stuck inside the subject, going on with it would prove nothing.
        after = () if parallel.hung else phase(plan.after, 1).run().calls
    return CellMeasurement(
        subject=subject.name,
        threads=plan.threads,
        workers=plan.workers,
        references=plan.references,
        calls=parallel.calls,
        after=after,
        wall_s=parallel.wall_s,
        rss_before_mib=memory.before_mib,
        peak_rss_mib=memory.peak_mib,
    )
