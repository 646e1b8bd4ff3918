"""Which cells run, in which order, and what fits into the time that is left."""

from __future__ import annotations

import gc
import os
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.run.bench.loops import closed_loop, has_hung
from harness.run.bench.records import BenchCell
from harness.run.bench.usage import Usage
from harness.run.memory import release_free_memory
from harness.subjects.contestants import BASELINE, ENGINE_BF16, ENGINE_FP32, LOCKED, POOL, POOL_PROCESSES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from harness.subjects.contestant import Contestant
    from stateless_tts import SpeechRequest

ALONE = -1
# Threads of one contestant's operations go on spinning for a moment after the last one.
SETTLE_S = 0.25
RIVALS = (LOCKED, POOL)
# Enough that the end, when one process speaks and the others have nothing left to do, is not most of a cell.
POOL_CALLS = 8
# Of the plan's target. Rivals that run in one round only run with so many.
PLANNED_WORKERS = 4
# Cells that have targets, by part: they come first where time is short, and run once in any case.
TARGETS = {
    "whole": (
        *((ENGINE_FP32, 4), (ENGINE_BF16, 16), (ENGINE_BF16, 4)),
        *((ENGINE_FP32, 1), (ENGINE_BF16, 1), (ENGINE_FP32, 16)),
    ),
    "t3": ((ENGINE_FP32, 4), (ENGINE_BF16, 16), (ENGINE_BF16, 4), (ENGINE_FP32, 16)),
    "s3gen": ((ENGINE_FP32, 4), (ENGINE_BF16, 4)),
}
# Who is only to hear voices and prompts need not say more.
HEARING_TOKENS = 2
# A first guess at how much faster than one by one an engine is with company; measured times replace it.
FIRST_GUESS = 2


@dataclass(frozen=True)
class CellPlan:
    """A cell to be run: `subject` asked by `workers` callers for the first `calls` requests.

    A baseline is run once for each number of workers, `beside` the cells with so many.
    """

    subject: str
    workers: int
    calls: int
    beside: int | None = None

    @property
    def key(self) -> tuple[str, int]:
        return self.subject, self.workers


@dataclass(frozen=True)
class Effort:
    """How many calls are made.

    Attributes:
        alone_calls: of baselines and engines before anything is timed; their outputs are references.
        least_calls: of every timed cell.
        most_locked_calls: of stock behind a lock, which does not speed up with more callers.
        baseline_calls: of stock one at a time.
        stateless_most_workers: the wrapper is not asked by more than these.
        rivals_once: whether lock and pool run in one round only, at one number of workers, without warming up.
        shared_calls_per_worker: of an engine's cell with several workers, so that the last utterances, which share a
            step with ever fewer others, are not most of it.
        least_single_calls: of an engine's cell with one worker, so that it speaks utterances of every length, and its
            peak of memory is not that of a short one.
    """

    alone_calls: int
    least_calls: int
    most_locked_calls: int
    baseline_calls: int
    stateless_most_workers: int = 16
    rivals_once: bool = False
    shared_calls_per_worker: int = 1
    least_single_calls: int = 0

    def calls(self, subject: str, workers: int) -> int:
        """Return the number of calls of one timed cell."""
        if subject.startswith(BASELINE):
            return self.baseline_calls
        if subject == POOL:
            return POOL_CALLS
        if subject == LOCKED:
            return min(self.most_locked_calls, max(workers, self.least_calls))
        of_engines = self.shared_calls_per_worker * workers if workers > 1 else self.least_single_calls
        return max(workers, self.least_calls, of_engines if subject.startswith("engine") else 0)

    def heard(self, subject: str, workers: Sequence[int]) -> int:
        """Return how many requests a contestant that keeps what it heard is to hear before its cells."""
        if not subject.startswith("engine"):
            return 0
        return max(self.calls(subject, count) for count in workers)

    def calls_alone(self, subject: str) -> int:
        """Return the number of calls before anything is timed."""
        if subject in RIVALS:
            return 0 if self.rivals_once else POOL_PROCESSES
        return self.alone_calls


def plan_cells(contestants: Sequence[Contestant], workers: Sequence[int], effort: Effort) -> tuple[CellPlan, ...]:
    """List the cells of a full round: numbers of workers outside, contestants inside, baselines in the middle of each.

    Every ratio is taken to the nearest baseline of the same round: a busy machine may be half as fast a few minutes
    later. A baseline speaks what its neighbours do, as far as the effort goes.
    """
    cells: list[CellPlan] = []
    for count in workers:
        group = [
            plan
            for contestant in contestants
            if not contestant.one_worker
            and not _is_left_out(
                plan := CellPlan(contestant.name, count, effort.calls(contestant.name, count)), workers, effort
            )
        ]
        most = max((cell.calls for cell in group), default=effort.baseline_calls)
        baselines = [
            CellPlan(one.name, 1, min(effort.baseline_calls, most), beside=count)
            for one in contestants
            if one.one_worker
        ]
        middle = len(group) // 2
        cells += [*group[:middle], *baselines, *group[middle:]]
    return tuple(cells)


def order_of_round(cells: Sequence[CellPlan], turn: int) -> tuple[CellPlan, ...]:
    """Return the cells forwards, backwards, backwards, forwards, ...: drift of the machine favours none."""
    return tuple(cells) if turn % 4 in (0, 3) else tuple(reversed(cells))


def choose_cells(
    cells: Sequence[CellPlan],
    estimates_s: Mapping[tuple[str, int], float],
    left_s: float,
    ran: frozenset[tuple[str, int]] = frozenset(),
    targets: Sequence[tuple[str, int]] = TARGETS["whole"],
) -> tuple[CellPlan, ...]:
    """Choose what fits into `left_s` seconds, and keep its order.

    First comes what has not run yet, then what has; of both, what has targets before the rest. With the first cell of a
    number of workers come the baselines beside it; where there are only baselines, they come for themselves.
    """

    def importance(cell: CellPlan) -> tuple[bool, bool, int]:
        has_target = cell.key in targets
        place = targets.index(cell.key) if has_target else cell.workers
        return cell.key in ran, not has_target, place

    beside: defaultdict[int, float] = defaultdict(float)
    for cell in cells:
        if cell.beside is not None:
            beside[cell.beside] += estimates_s.get(cell.key, 0.0)
    chosen, accompanied = set(), set()
    for cell in sorted([cell for cell in cells if cell.beside is None] or cells, key=importance):
        seconds = estimates_s.get(cell.key, 0.0)
        if cell.beside is None and cell.workers not in accompanied:
            seconds += beside[cell.workers]
        if seconds <= left_s:
            left_s -= seconds
            chosen.add(cell.key)
            accompanied.add(cell.workers)
    return tuple(cell for cell in cells if cell.key in chosen or cell.beside in accompanied)


def first_estimates(cells: Sequence[CellPlan], seconds_per_call: Mapping[str, float]) -> dict[tuple[str, int], float]:
    """Guess how long cells take from what each contestant took alone; who was not tried takes as long as stock."""
    stock = seconds_per_call.get(BASELINE, 0.0)
    estimates = {}
    for cell in cells:
        speedup = FIRST_GUESS if cell.subject.startswith("engine") and cell.workers > 1 else 1
        estimates[cell.key] = seconds_per_call.get(cell.subject, stock) * cell.calls / speedup
    return estimates


def hear(contestant: Contestant, requests: Sequence[SpeechRequest], on_call: Callable[[], None] = lambda: None) -> None:
    """Let a contestant hear the voices and prompts of all `requests` and say next to nothing.

    Voices, and the beginnings of prompts, are kept for the next request with the same. A cell in which they are heard
    for the first time takes the memory for them, which another cell with fewer requests does not: it would look like
    memory of more workers. Of requests with one voice and one exaggeration, the longest text has next to all that they
    begin with. Errors are ignored; the cells that follow have them too.
    """
    longest: dict[tuple[str | int, float, bool], SpeechRequest] = {}
    for request in requests:
        clip = request.audio_prompt_path
        voice = os.fspath(clip) if isinstance(clip, str | os.PathLike) else id(clip)
        key = voice, request.exaggeration, request.cfg_weight > 0
        longest[key] = max(longest.get(key, request), request, key=lambda one: len(one.text))
    short = [replace(request, max_new_tokens=HEARING_TOKENS) for request in longest.values()]
    if short:
        closed_loop(contestant, short, range(len(short)), 1, on_call)


def run_cell(
    part: str,
    contestant: Contestant,
    plan: CellPlan,
    turn: int,
    requests: Sequence[SpeechRequest],
    on_call: Callable[[], None] = lambda: None,
) -> BenchCell:
    """Run one cell."""
    release_free_memory()
    time.sleep(SETTLE_S)
    with Usage(contestant.pids) as usage:
        calls, wall_s = closed_loop(contestant, requests, range(plan.calls), plan.workers, on_call)
    gc.collect()
    return BenchCell(
        part=part,
        subject=plan.subject,
        workers=plan.workers,
        round=turn,
        calls=calls,
        wall_s=wall_s,
        cpu_s=usage.cpu_s,
        before_mib=usage.before_mib,
        peak_mib=usage.peak_mib,
        gpu_peak_mib=usage.gpu_peak_mib,
    )


def run_rounds(
    part: str,
    contestants: Sequence[Contestant],
    requests: Sequence[SpeechRequest],
    cells: Sequence[CellPlan],
    *,
    rounds: int,
    ends_at: float,
    effort: Effort,
    seconds_per_call: Mapping[str, float],
    on_call: Callable[[str], Callable[[], None]],
) -> Iterator[BenchCell]:
    """Yield every cell of every round, run or not.

    Args:
        part: what is measured.
        contestants: who.
        requests: the workload.
        cells: those of a full round.
        rounds: how many.
        ends_at: on the clock of `time.perf_counter`; cells that would end later are left out, but not in the first
            round what has targets.
        effort: of the profile.
        seconds_per_call: of each contestant alone, as a first estimate.
        on_call: told of a cell's name, returns what is told of each of its calls.
    """
    by_name = {contestant.name: contestant for contestant in contestants}
    hung: set[str] = set()
    estimates = first_estimates(cells, seconds_per_call)
    ran: set[tuple[str, int]] = set()
    for turn in range(rounds):
        once = {cell.key for cell in cells if effort.rivals_once and cell.subject in RIVALS and cell.key in ran}
        wanted = [cell for cell in order_of_round(cells, turn) if cell.key not in once]
        left_s = ends_at - time.perf_counter()
        if turn > 0:  # every cell runs once before any runs twice
            left_s /= rounds - turn
        targets = TARGETS[part]
        chosen = choose_cells(wanted, estimates, left_s, frozenset(ran), targets)
        only_baselines = all(cell.beside is not None for cell in wanted)
        sure = {cell for cell in wanted if turn == 0 and (only_baselines or cell.key in targets)}
        accompanied = {cell.workers for cell in sure}
        sure |= {cell for cell in wanted if cell.beside in accompanied}
        for cell in wanted:
            if cell not in sure and (cell not in chosen or time.perf_counter() > ends_at):
                yield BenchCell(part, cell.subject, cell.workers, turn, not_run="no time left")
                continue
            if cell.subject in hung:
                yield BenchCell(part, cell.subject, cell.workers, turn, not_run="hung in an earlier cell")
                continue
            name = f"{part}, round {turn + 1}, {cell.subject}, {cell.workers} workers"
            began = time.perf_counter()
            seen = run_cell(part, by_name[cell.subject], cell, turn, requests, on_call(name))
            yield seen
            if has_hung(seen.calls):
                hung.add(cell.subject)
            estimates[cell.key] = time.perf_counter() - began
            ran.add(cell.key)


def _is_left_out(plan: CellPlan, workers: Sequence[int], effort: Effort) -> bool:
    if plan.subject in RIVALS and effort.rivals_once:
        # Those keep it busy; more would only wait.
        return plan.workers != min((count for count in workers if count >= PLANNED_WORKERS), default=max(workers))
    return plan.subject == "stateless" and plan.workers > max(effort.stateless_most_workers, min(workers))
