"""Faults reach the segment that they are meant for, and no other."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import torch

from harness.run.soak import schedule
from harness.run.soak.adapter import FaultyAdapter, MixedAdapter
from harness.run.soak.schedule import PlannedSegment
from harness.run.soak.trips import InjectedDeath, InjectedError, Trips
from stateless_tts import ConversionRequest, SpeechRequest, SpeechResult, StageSeconds
from stateless_tts.streaming import StreamingSegment
from tests.harness.soak_toys import REQUESTS, ToyEngine, toy_audio

if TYPE_CHECKING:
    from collections.abc import Callable

SEGMENT = StreamingSegment(0, "Hi.")


class Stopped(Exception):  # noqa: N818 - what a checkpoint raises here
    """Ends a segment."""


def adapter(fault: str, stage: str = "") -> FaultyAdapter:
    trips = Trips()
    planned = PlannedSegment(0, REQUESTS[0], fault, stage)
    return FaultyAdapter(ToyEngine(trips), {0: planned}, trips, lambda index: Path(f"spoiled-{index}"))


def speak(faulty: FaultyAdapter, checkpoint: Callable[[], None] = lambda: None) -> torch.Tensor:
    return faulty.speak_segment(SEGMENT, {"seed": 5}, checkpoint).audio


def test_a_segment_without_a_fault_is_the_engines() -> None:
    with adapter("") as faulty:
        assert torch.equal(speak(faulty), toy_audio(5))
        assert faulty.fired == []


@pytest.mark.parametrize("stage", schedule.STAGES[1:])
def test_a_stage_raises_every_time(stage: str) -> None:
    with adapter(schedule.RAISES[stage]) as faulty:
        for count in (1, 2):
            with pytest.raises(InjectedError, match=f"injected in {stage}"):
                speak(faulty)
            assert faulty.fired == [(0, schedule.RAISES[stage])] * count


def test_a_voice_that_is_to_fail_is_one_that_nobody_else_waits_for() -> None:
    trips = Trips()
    seen: list[Any] = []

    class Looking(ToyEngine):
        def speak_segment(self, segment: StreamingSegment, *arguments: Any) -> Any:  # noqa: ANN401 - passed on
            seen.append(segment.voice_path)
            return super().speak_segment(StreamingSegment(segment.index, segment.text), *arguments)

    planned = PlannedSegment(0, REQUESTS[0], schedule.RAISES["voice"])
    faulty = FaultyAdapter(Looking(trips), {0: planned}, trips, lambda index: Path(f"spoiled-{index}"))
    with faulty, pytest.raises(InjectedError):
        speak(faulty)
    assert seen == [Path("spoiled-0")]


def test_a_worker_dies_once_or_every_time() -> None:
    with adapter(schedule.KILLED_ONCE, "mel") as faulty:
        with pytest.raises(InjectedDeath):
            speak(faulty)
        assert torch.equal(speak(faulty), toy_audio(5))
    with adapter(schedule.KILLED_TWICE, "mel") as faulty:
        for _ in range(2):
            with pytest.raises(InjectedDeath):
                speak(faulty)


def test_what_stalls_looks_for_its_end_and_goes_on_when_let_go() -> None:
    looks: list[int] = []

    def checkpoint() -> None:
        looks.append(1)
        if len(looks) == 3:
            raise Stopped

    with adapter(schedule.STALLS) as faulty:
        with pytest.raises(Stopped):
            speak(faulty, checkpoint)
        assert faulty.fired == [(0, schedule.STALLS)]
        faulty.release()
        assert torch.equal(speak(faulty), toy_audio(5))


def test_what_hangs_does_not_look_until_it_is_let_go() -> None:
    looks: list[int] = []
    faulty = adapter(schedule.HANGS)
    thread = threading.Thread(target=speak, args=(faulty, lambda: looks.append(1)))
    thread.start()
    while not faulty.fired:
        thread.join(0.01)
    thread.join(0.1)
    assert thread.is_alive()
    assert looks == []
    faulty.release()
    thread.join(10)
    assert not thread.is_alive()


def test_a_thread_is_killed_from_outside_once_and_within_the_segment() -> None:
    died: list[type[BaseException]] = []
    faulty = adapter(schedule.KILLED_OUTSIDE)
    go_on = threading.Event()

    def checkpoint() -> None:
        if len(faulty._killers) == 1:
            go_on.wait(0.05)  # long enough to be found at work

    def work() -> None:
        try:
            speak(faulty, checkpoint)
        except BaseException as error:  # noqa: BLE001 - what is asked
            died.append(type(error))

    with faulty:
        for expected in ([SystemExit], [SystemExit]):
            thread = threading.Thread(target=work)
            thread.start()
            thread.join(10)
            assert died == expected
    assert faulty.fired == [(0, schedule.KILLED_OUTSIDE)]
    assert not any(killer.is_alive() for killer in faulty._killers)


class Remembering:
    """Stands for a wrapper."""

    def __init__(self) -> None:
        self.requests: list[SpeechRequest | ConversionRequest] = []

    def synthesize(self, request: SpeechRequest | ConversionRequest, *, checkpoint: Callable[[], None]) -> SpeechResult:
        checkpoint()
        self.requests.append(request)
        return SpeechResult(torch.ones(1, 9), 24_000, request.seed or 0, torch.zeros(1), StageSeconds(0, 0, 0, 0))


def test_each_segment_is_carried_out_by_its_family() -> None:
    wrappers: Any = {"english": Remembering(), "vc": Remembering()}
    mixed = MixedAdapter(wrappers)
    spoken = StreamingSegment(0, "Hi.", metadata={"family": "english", "seed": 3, "temperature": 0.5})
    converted = StreamingSegment(1, "", voice_path="v.wav", metadata={"family": "vc", "seed": 4, "recording": "r.wav"})
    for segment in (spoken, converted):
        assert mixed.process_segment(segment).success
    assert wrappers["english"].requests == [SpeechRequest("Hi.", None, seed=3, temperature=0.5)]
    assert wrappers["vc"].requests == [ConversionRequest("r.wav", "v.wav", 4)]
