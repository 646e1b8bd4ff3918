"""Two ways to ask: callers who wait for their answer (closed loop), and arrivals that wait for nobody (open loop)."""

from __future__ import annotations

import queue
import random
import threading
import time
from typing import TYPE_CHECKING

from harness.run.bench.records import BenchCall
from harness.run.digest import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.subjects.contestant import Contestant
    from stateless_tts import SpeechRequest

MESSAGE_CHARACTERS = 300
LOOK_EVERY_S = 0.2
HUNG = "Hung"
# No call is this slow: at full size, stock takes half a minute on two cores. Sixteen may have to wait for each other.
HUNG_AFTER_S = 600.0


def closed_loop(
    contestant: Contestant,
    requests: Sequence[SpeechRequest],
    places: Sequence[int],
    workers: int,
    on_call: Callable[[], None] = lambda: None,
    hung_after_s: float = HUNG_AFTER_S,
) -> tuple[tuple[BenchCall, ...], float]:
    """Let `workers` callers ask for `requests[place]` of all places, each taking the next when it has its answer.

    If nobody gets an answer for `hung_after_s` seconds, the calls without one are written down as hung and nobody
    waits for them any more.

    Returns:
        The calls in the order of `places`, and seconds from the start to the end of the last call.
    """
    start = threading.Barrier(workers + 1)
    waiting = list(enumerate(places))[::-1]
    calls: dict[int, BenchCall] = {}
    origin = [0.0]

    def work() -> None:
        start.wait()
        while True:
            try:
                number, place = waiting.pop()
            except IndexError:
                return
            calls[number] = _call(contestant, requests[place], place, origin[0], None)
            on_call()

    threads = [threading.Thread(target=work, name=f"harness-{number}", daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    # The workers read the clock's origin only after the barrier.
    origin[0] = time.perf_counter()
    start.wait()
    _wait_for(threads, lambda: len(calls), hung_after_s)
    waiting.clear()  # a caller that is answered after all asks for nothing more
    ended_s = time.perf_counter() - origin[0]
    ordered = tuple(
        calls.get(number) or _hung(place, 0.0, ended_s, hung_after_s) for number, place in enumerate(places)
    )
    return ordered, max(call.ended_s for call in ordered)


def _wait_for(threads: Sequence[threading.Thread], answers: Callable[[], int], hung_after_s: float) -> None:
    """Wait until all threads have ended, or nothing has been answered for so long."""
    seen, since = answers(), time.perf_counter()
    while any(thread.is_alive() for thread in threads):
        for thread in threads:
            thread.join(min(LOOK_EVERY_S, hung_after_s) / len(threads))
        if answers() != seen:
            seen, since = answers(), time.perf_counter()
        if time.perf_counter() - since > hung_after_s:
            return


def _hung(place: int, scheduled_s: float, ended_s: float, hung_after_s: float) -> BenchCall:
    error = f"{HUNG}: nobody was answered for {hung_after_s:g} s"
    return BenchCall(place, scheduled_s, scheduled_s, ended_s, error=error)


def has_hung(calls: Iterable[BenchCall]) -> bool:
    """Whether a call of these was given up."""
    return any((call.error or "").startswith(HUNG) for call in calls)


def poisson_schedule(seed: int, rate_per_s: float, count: int) -> tuple[float, ...]:
    """Arrival times of a Poisson process, seconds from its start; the first gap is drawn like the others."""
    source = random.Random(seed)  # noqa: S311 - reproducible, not cryptographic
    now, times = 0.0, []
    for _ in range(count):
        now += source.expovariate(rate_per_s)
        times.append(now)
    return tuple(times)


def open_loop(
    contestant: Contestant,
    requests: Sequence[SpeechRequest],
    schedule: Sequence[float],
    on_call: Callable[[], None] = lambda: None,
    hung_after_s: float = HUNG_AFTER_S,
) -> tuple[BenchCall, ...]:
    """Ask for the requests in a circle at the scheduled times, whether or not earlier ones are answered.

    A contestant that serves one caller at a time has that many workers and a queue in front of them. One that hangs
    is given up as in the closed loop.
    """
    calls: dict[int, BenchCall] = {}
    arrived: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    given_up = threading.Event()
    origin = 0.0

    def work() -> None:
        while (number := arrived.get()) is not None and not given_up.is_set():
            place = number % len(requests)
            calls[number] = _call(contestant, requests[place], place, origin, schedule[number])
            on_call()

    workers = contestant.servers or len(schedule)
    threads = [threading.Thread(target=work, name=f"harness-{number}", daemon=True) for number in range(workers)]
    for thread in threads:
        thread.start()
    # The workers read the clock's origin only after the first arrival.
    origin = time.perf_counter()
    for number, scheduled_s in enumerate(schedule):
        time.sleep(max(0.0, origin + scheduled_s - time.perf_counter()))
        arrived.put(number)
    for _ in threads:
        arrived.put(None)
    _wait_for(threads, lambda: len(calls), hung_after_s)
    given_up.set()
    ended_s = time.perf_counter() - origin
    return tuple(
        calls.get(number) or _hung(number % len(requests), scheduled_s, ended_s, hung_after_s)
        for number, scheduled_s in enumerate(schedule)
    )


def _call(
    contestant: Contestant, request: SpeechRequest, place: int, origin: float, scheduled_s: float | None
) -> BenchCall:
    started = time.perf_counter() - origin
    scheduled = started if scheduled_s is None else scheduled_s
    try:
        spoken = contestant.speak(request)
        ended = time.perf_counter() - origin
    except Exception as error:  # noqa: BLE001 - whatever a contestant raises is an observation
        ended = time.perf_counter() - origin
        message = f"{type(error).__name__}: {error}".splitlines()[0][:MESSAGE_CHARACTERS]
        return BenchCall(place, scheduled, started, ended, error=message)
    tokens = spoken.tokens
    return BenchCall(
        request=place,
        scheduled_s=scheduled,
        started_s=started,
        ended_s=ended,
        samples=int(spoken.audio.shape[-1]),
        audio_sha256=mark(spoken.audio).sha256,
        tokens=None if tokens is None else int(tokens.numel()),
        tokens_sha256=None if tokens is None else mark(tokens.to("cpu")).sha256,
        stage_seconds=dict(spoken.stage_seconds),
    )
