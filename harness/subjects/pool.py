"""The rival that buys throughput with memory: processes with a model each."""

from __future__ import annotations

import multiprocessing as mp
import queue
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from harness.errors import HarnessError
from harness.subjects.contestant import Contestant, Spoken
from harness.subjects.source import ModelSource

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from stateless_tts import SpeechRequest

LOADED = "loaded"
END_WITHIN_S = 10.0


class ProcessPoolError(HarnessError):
    """A process of the pool failed or has gone."""


def process_pool(source: ModelSource, processes: int, torch_threads: int) -> Contestant:
    """Start `processes` processes that load the model of `source` each and share the cores out among them.

    Raises:
        ProcessPoolError: one of them could not load its model.
    """
    context = mp.get_context("spawn")
    plain = {**asdict(source), "torch_threads": torch_threads}
    pipes: list[Connection] = []
    started = []
    for number in range(processes):
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(plain, theirs), name=f"harness-pool-{number}", daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        started.append(process)
    free: queue.SimpleQueue[Connection] = queue.SimpleQueue()
    for pipe in pipes:
        _receive(pipe)
        free.put(pipe)

    def speak(request: SpeechRequest) -> Spoken:
        pipe = free.get()
        try:
            pipe.send(request)
            return _receive(pipe)  # type: ignore[no-any-return] # a Spoken, or an exception
        finally:
            free.put(pipe)

    def close() -> None:
        for pipe in pipes:
            pipe.close()
        for process in started:
            process.join(END_WITHIN_S)
            if process.is_alive():
                process.kill()
                process.join()

    return Contestant(
        "process-pool",
        speak,
        servers=processes,
        pids=tuple(process.pid or 0 for process in started),
        details={"processes": processes, "torch_threads_each": torch_threads},
        close=close,
    )


def _receive(pipe: Connection) -> Any:  # noqa: ANN401 - what the process sends: a Spoken or LOADED
    try:
        answer = pipe.recv()
    except EOFError as error:
        raise ProcessPoolError("a process of the pool has gone without an answer") from error
    if isinstance(answer, Exception):
        raise answer
    return answer


def _serve(plain_source: dict[str, Any], pipe: Connection) -> None:
    """Run in the other process: load the model, then speak one request after the other until the pipe ends."""
    import os  # noqa: PLC0415 - this process's own set-up
    import warnings  # noqa: PLC0415

    os.environ["TQDM_DISABLE"] = "1"
    warnings.simplefilter("ignore")
    from harness.subjects.stock_timed import TimedStock  # noqa: PLC0415 - imports torch

    try:
        speak = TimedStock(ModelSource(**plain_source).load())
    except Exception as error:  # noqa: BLE001 - the pool's owner gets it
        pipe.send(ProcessPoolError(f"a process of the pool could not load its model: {error!r}"))
        return
    pipe.send(LOADED)
    while True:
        try:
            request = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(_answer(speak, request))


def _answer(speak: Any, request: SpeechRequest) -> Spoken | Exception:  # noqa: ANN401 - a TimedStock; imported later
    try:
        spoken = speak(request)
    except Exception as error:  # noqa: BLE001 - the caller gets it
        return ProcessPoolError(f"{type(error).__name__}: {error}")
    return Spoken(spoken.audio.clone(), spoken.tokens.clone(), dict(spoken.stage_seconds))
