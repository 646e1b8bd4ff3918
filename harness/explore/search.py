"""The search itself, by frontrun; it has to run in a process that frontrun's command line has started."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

import frontrun

# frontrun plays a schedule again only at the end of a search; a saved one needs the function behind that. The
# version is pinned for it.
from frontrun._dpor_runtime.replay import _run_dpor_schedule
from frontrun._tracing import TraceFilter, set_active_trace_filter

from harness.errors import HarnessError
from harness.explore.finding import SEARCHED, Finding
from harness.explore.targets import TARGETS, tables_put_back
from harness.run.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from frontrun.common import InterleavingResult

    from harness.explore.targets import Target

TIMEOUT_S = 20.0


class NothingFoundError(HarnessError):
    """The search ended without an interleaving that breaks anything."""


def search(hazard: str, replays: int, total_s: float) -> Finding:
    """Search the interleavings of two calls at the hazard's place for one that breaks whenever it is played.

    The first that breaks need not be it: frontrun lets the next step begin while the last bytecode of the one before
    still runs, so a tensor written by that bytecode may be read before or after. The search then goes on, and takes
    the first of all that broke which breaks every time; the explanation stays that of the first of its kind.

    Raises:
        NothingFoundError: none breaks, or the time was up.
    """
    target = TARGETS[hazard]()
    start = time.perf_counter()
    result = _explore(target, total_s, stop_on_first=True)
    if result.counterexample is None:
        why = result.inconclusive_reason or "all were tried"
        raise NothingFoundError(f"{hazard}: no interleaving of {result.num_explored} breaks; {why}")
    tried, schedule = result.num_explored, tuple(result.counterexample)
    reproduced = replay(hazard, schedule, replays)
    if reproduced < replays:
        wider = _explore(target, total_s, stop_on_first=False)
        for number, steps in wider.failures:
            again = replay(hazard, steps, replays)
            if again > reproduced:
                tried, schedule, reproduced = result.num_explored + number, tuple(steps), again
            if reproduced == replays:
                break
    return Finding(
        hazard=hazard,
        method=SEARCHED,
        why="",
        interleavings=tried,
        seconds=round(time.perf_counter() - start, 2),
        schedule=schedule,
        explanation=result.explanation or "",
        replays=replays,
        reproduced=reproduced,
    )


def _explore(target: Target, total_s: float, *, stop_on_first: bool) -> InterleavingResult:
    with tables_put_back(), one_torch_thread():
        return frontrun.explore(
            setup=target.setup,
            workers=list(target.workers),
            invariant=target.holds,
            trace_packages=list(target.packages),
            detect_io=False,
            timeout_per_run=TIMEOUT_S,
            deadlock_timeout=TIMEOUT_S,
            total_timeout=total_s,
            stop_on_first=stop_on_first,
            reproduce_on_failure=0,
        )


def replay(hazard: str, schedule: Sequence[int], times: int) -> int:
    """Play a found schedule again; return how often it broke."""
    target = TARGETS[hazard]()
    with tables_put_back(), one_torch_thread(), _traced(target):
        return sum(_breaks(target, schedule) for _ in range(times))


def _breaks(target: Target, schedule: Sequence[int]) -> bool:
    state = _run_dpor_schedule(
        list(schedule),
        target.setup,
        list(target.workers),
        timeout=TIMEOUT_S,
        deadlock_timeout=TIMEOUT_S,
        detect_io=False,
    )
    return not target.holds(state)


@contextlib.contextmanager
def _traced(target: Target) -> Iterator[None]:
    set_active_trace_filter(TraceFilter(list(target.packages)))
    try:
        yield
    finally:
        set_active_trace_filter(None)
