"""Two ways to ask: callers who wait for their answer (closed loop), and arrivals that wait for nobody (open loop)."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from harness.run.bench.records import BenchCall
from harness.run.digest import mark

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from harness.subjects.contestant import Contestant
    from stateless_tts import SpeechRequest

MESSAGE_CHARACTERS = 300


def closed_loop(
    contestant: Contestant,
    requests: Sequence[SpeechRequest],
    places: Sequence[int],
    workers: int,
    on_call: Callable[[], None] = lambda: None,
) -> tuple[tuple[BenchCall, ...], float]:
    """Let `workers` callers ask for `requests[place]` of all places, each taking the next when it has its answer.

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
    for thread in threads:
        thread.join()
    ordered = tuple(calls[number] for number in range(len(places)))
    return ordered, max(call.ended_s for call in ordered)


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
) -> tuple[BenchCall, ...]:
    """Ask for the requests in a circle at the scheduled times, whether or not earlier ones are answered.

    A contestant that serves one caller at a time has that many workers and a queue in front of them.
    """
    calls: list[BenchCall] = []

    def work(place: int, scheduled_s: float, origin: float) -> None:
        calls.append(_call(contestant, requests[place], place, origin, scheduled_s))
        on_call()

    workers = contestant.servers or len(schedule)
    with ThreadPoolExecutor(workers, thread_name_prefix="harness") as executor:
        origin = time.perf_counter()
        for number, scheduled_s in enumerate(schedule):
            time.sleep(max(0.0, origin + scheduled_s - time.perf_counter()))
            executor.submit(work, number % len(requests), scheduled_s, origin)
    return tuple(sorted(calls, key=lambda call: call.scheduled_s))


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
