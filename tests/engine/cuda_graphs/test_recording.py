"""When what is recorded and played back, with stand-ins for what only a GPU has."""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import torch

from stateless_tts.engine._estimator import UnmaskedEstimator
from stateless_tts.engine.cuda_graphs import _estimator, _recording
from stateless_tts.engine.cuda_graphs._estimator import RecordedEstimator
from stateless_tts.engine.cuda_graphs._recording import Recorder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.tts import ChatterboxTTS


class StandIn:
    """Notes what is asked of graphs, streams and pools; a recording is done at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.fails: set[str] = set()
        for name, stand_in in {
            "CUDAGraph": self.graph,
            "Stream": self.stream,
            "stream": lambda _: nullcontext(),
            "current_stream": lambda _: SimpleNamespace(wait_stream=lambda _: None),
            "graph_pool_handle": lambda: (0, 1),
        }.items():
            monkeypatch.setattr(torch.cuda, name, stand_in)

    def stream(self, _device: torch.device, priority: int) -> Any:  # noqa: ANN401 - a stand-in
        self.note(f"stream {priority}")
        return SimpleNamespace(wait_stream=lambda _: None, device=torch.device("cuda:0"))

    def graph(self) -> Any:  # noqa: ANN401 - a stand-in
        return SimpleNamespace(
            capture_begin=lambda **_: self.note("begin"),
            capture_end=lambda: self.note("end"),
            replay=lambda: self.note("play"),
        )

    def note(self, what: str) -> None:
        self.asked.append(what)
        if what in self.fails:
            raise RuntimeError(f"{what} failed")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setattr(_recording, "_failed", [])
    return StandIn(monkeypatch)


def test_a_recording_begins_and_ends_and_one_that_fails_is_tidied_up(gpu: StandIn) -> None:
    recorder = Recorder(torch.device("cpu"))
    assert gpu.asked == ["stream -1", "begin", "end"]  # the graph that keeps the pool
    gpu.asked.clear()
    with recorder.recording(gpu.graph()):
        gpu.note("asked")
    assert gpu.asked == ["begin", "asked", "end"]
    gpu.asked.clear()
    gpu.fails.add("asked")
    failing: Any = gpu.graph()
    with pytest.raises(RuntimeError, match="asked failed"), recorder.recording(failing):
        gpu.note("asked")
    assert gpu.asked == ["begin", "asked", "end", "begin", "end"]  # and one of next to nothing
    assert _recording._failed == [failing]
    with recorder.recording(gpu.graph()):
        gpu.note("asked again")


class Counted(torch.nn.Module):
    """Upstream's estimator, and how often it was computed."""

    def __init__(self, estimator: torch.nn.Module) -> None:
        super().__init__()
        self.estimator = estimator
        self.calls = 0

    def forward(self, **given: Any) -> Any:  # noqa: ANN401 - passed on
        self.calls += 1
        return self.estimator(**given)


def utterance(frames: int) -> dict[str, Any]:
    return {
        "x": torch.zeros(2, 80, frames), "mask": torch.ones(2, 1, frames), "mu": torch.ones(2, 80, frames),
        "t": torch.zeros(2), "spks": torch.ones(2, 80), "cond": torch.zeros(2, 80, frames), "r": None,
    }  # fmt: skip


@pytest.fixture
def counted(model: ChatterboxTTS) -> Counted:
    return Counted(UnmaskedEstimator(model.s3gen.flow.decoder.estimator, with_bias=True))


@torch.inference_mode()
def test_an_utterance_is_computed_once_recorded_once_and_played_back(
    model: ChatterboxTTS, gpu: StandIn, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded = RecordedEstimator(counted, torch.device("cpu"))

    def play(graph: Any) -> None:  # noqa: ANN401 - a stand-in
        graph.replay()
        own = recorded._own
        assert own.result is not None
        own.result.copy_(counted.estimator(**own.given))

    monkeypatch.setattr(_estimator, "play", play)
    for frames in (20, 24):
        given, counted.calls = utterance(frames), 0
        gpu.asked.clear()
        for step in range(5):
            given["x"][:] = torch.randn(2, 80, frames, generator=torch.Generator().manual_seed(step))
            given["t"][:] = 0.1 * step
            assert torch.equal(recorded(**given), model.s3gen.flow.decoder.estimator(**given))
        assert counted.calls == 2
        assert gpu.asked.count("play") == 4


@torch.inference_mode()
def test_long_utterances_are_not_recorded(gpu: StandIn, counted: Counted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_estimator, "_MOST_FRAMES", 20)
    recorded = RecordedEstimator(counted, torch.device("cpu"))
    given = utterance(22)
    for _ in range(3):
        recorded(**given)
    assert counted.calls == 3
    assert not gpu.asked


@torch.inference_mode()
def test_it_is_tried_again_for_the_next_utterance_but_not_for_ever(gpu: StandIn, counted: Counted) -> None:
    recorded = RecordedEstimator(counted, torch.device("cpu"))
    gpu.fails.add("begin")
    for number in range(5):
        given = utterance(20)
        gpu.asked.clear()
        for _ in range(3):
            recorded(**given)
        assert gpu.asked.count("begin") == (1 if number < 3 else 0)


def test_nothing_is_played_while_something_is_recorded(gpu: StandIn) -> None:
    recorder = Recorder(torch.device("cpu"))
    with recorder.recording(gpu.graph()):
        assert not in_another_thread(_recording.ONE_AT_A_TIME)
    assert in_another_thread(_recording.ONE_AT_A_TIME)
    assert gpu.asked


@contextmanager
def held(lock: Any) -> Iterator[bool]:  # noqa: ANN401 - an RLock has no type of its own
    taken = lock.acquire(blocking=False)
    try:
        yield taken
    finally:
        if taken:
            lock.release()


def in_another_thread(lock: Any) -> bool:  # noqa: ANN401 - as above
    from concurrent.futures import ThreadPoolExecutor

    def could_take() -> bool:
        with held(lock) as taken:
            return taken

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(could_take).result()
