"""A revision's own work: its wrapper and its engine over one tiny model, spoken with and timed."""

from __future__ import annotations

import gc
import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import torch

import stateless_tts
from harness.run.digest import mark
from harness.run.gate.counting import CallCounter, generator_states
from harness.run.gate.families import unequal_family
from harness.run.gate.injection import SlowedStage
from harness.run.gate.kernels import ControlKernels
from harness.run.gate.meeting import Meeting
from harness.run.gate.records import CellPlan, GateCell, Revision, RevisionCounts, ThreadedBits, Turn
from harness.run.memory import PeakMemory, release_free_memory, resident_mib
from harness.subjects.stock import StockCall
from harness.workload.clips import VoiceRecipe, write_clip
from harness.workload.speech import make_workload
from stateless_tts import SpeechRequest, StatelessChatterBoxWrapper
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

WRAPPER, ENGINE = "stateless", "engine"
# Short, with a short voice: what a round costs is what decides how many rounds there can be.
TIMED_TEXT, TIMED_TOKENS, TIMED_REQUESTS = "Yes.", 4, 8
TIMED_VOICE = VoiceRecipe("timed", 142.0, (560.0, 1480.0, 2700.0), 0.2, 0)
COUNTED_REQUESTS = 3
OVERLAPPING, OVERLAPPING_CALLS = (8,), 8


class RevisionWork:
    """Everything a revision's process holds between questions.

    Args:
        revision: `base` or `head`.
        folder: where the workload's clips go.

    Attributes:
        model: what the wrapper and the engine share.
    """

    def __init__(self, revision: Revision, folder: Path) -> None:
        torch.set_num_threads(1)
        self._revision = revision
        self._folder = folder
        self.model: Any = build_chatterbox(family="english", profile="tiny", seed=0)
        release_free_memory()
        self._loaded_mib = resident_mib()
        self._wrapper = StatelessChatterBoxWrapper(self.model)
        self._engine: Any = None
        self._slowed: SlowedStage | None = None
        self._kernels = ControlKernels()
        voice = self._wrapper.prepare_voice(write_clip(TIMED_VOICE, folder).path)
        self._requests = tuple(
            SpeechRequest(TIMED_TEXT, voice, seed=seed, max_new_tokens=TIMED_TOKENS) for seed in range(TIMED_REQUESTS)
        )
        self._expected: dict[str, tuple[str, ...]] = {}

    @property
    def subjects(self) -> tuple[str, ...]:
        """What this revision can be timed with."""
        return (WRAPPER, ENGINE) if hasattr(stateless_tts, "ContinuousBatchingEngine") else (WRAPPER,)

    def warm_up(self, subjects: Sequence[str], *, slowable: bool = False) -> None:
        """Speak every timed request alone: fills what is filled on first use, and keeps the bits as expected.

        Args:
            subjects: what will be timed.
            slowable: a calibration's turns will have one stage slowed down; anything else is timed as it is.
        """
        if slowable:
            self._slowed = SlowedStage(self.model)
        if ENGINE in subjects and self._engine is None:
            self._engine = stateless_tts.ContinuousBatchingEngine(self.model)
        for subject in subjects:
            speak = self._speaker(subject)
            self._expected[subject] = tuple(mark(speak(request).audio).sha256 for request in self._requests)
        if self._slowed is not None:
            self._slowed.calibrate(lambda: self._wrapper.synthesize(self._requests[0]))
        self._kernels.time_both()
        # A collection in a cell would walk everything that importing left behind, whichever call it happens to hit.
        gc.collect()
        gc.freeze()

    def turn(self, cells: Sequence[CellPlan], injected: float) -> Turn:
        """Run `cells` in order, with a look at the control before each of them and after the last."""
        if self._slowed is not None:
            self._slowed.share = injected
        looks = [self._kernels.time_both()]
        ran = []
        for cell in cells:
            ran.append(self._cell(cell))
            looks.append(self._kernels.time_both())
        controls = {name: statistics.fmean(look[name] for look in looks) for name in looks[0]}
        return Turn(self._revision, tuple(ran), controls, self._loaded_mib, injected=injected)

    def count(self, families: Sequence[str]) -> RevisionCounts:
        """Speak requests one at a time, overlapping, and with sequential stock; then one of each of `families`."""
        drawn = make_workload(0, COUNTED_REQUESTS + 2, self._folder).requests
        # Length changes neither what is shared nor what a token costs, and these are spoken ten times over.
        requests = sorted(drawn, key=lambda request: len(request.text))[:COUNTED_REQUESTS]
        stock = StockCall(self.model)
        expected = [mark(stock(request)).sha256 for request in requests]
        states = generator_states()
        counter = CallCounter(self.model)
        # Encoding a voice and filling tables happens once; what is counted is what every call does.
        first = [self._wrapper.synthesize(request) for request in requests]
        with counter:
            results = [self._wrapper.synthesize(request) for request in requests]
        moved = tuple(name for name, state in generator_states().items() if state != states[name])
        unequal = [
            place
            for place, wanted in enumerate(expected)
            if {mark(first[place].audio).sha256, mark(results[place].audio).sha256} != {wanted}
        ]
        differing = [f"request {place}: {requests[place].text[:60]!r}" for place in unequal]
        clip = write_clip(TIMED_VOICE, self._folder).path
        differing += filter(None, (unequal_family(family, clip) for family in families))
        spoken = len(requests) + len(families)
        return RevisionCounts(
            revision=self._revision,
            requests=spoken,
            equal_to_stock=spoken - len(differing),
            first_unequal=differing[0] if differing else "",
            threaded=tuple(self._overlapping(threads, requests, expected) for threads in OVERLAPPING),
            tokens=tuple(int(result.speech_tokens.numel()) for result in results),
            samples=tuple(int(result.audio.shape[-1]) for result in results),
            tensor_ops=counter.tensor_ops,
            weight_bytes=counter.weight_bytes,
            weight_writes=counter.weight_writes,
            process_draws=counter.process_draws,
            generators_moved=moved,
        )

    def close(self) -> None:
        """End the engine's threads."""
        if self._engine is not None:
            self._engine.close()

    def _overlapping(self, threads: int, requests: Sequence[SpeechRequest], expected: Sequence[str]) -> ThreadedBits:
        asked = [place % len(requests) for place in range(OVERLAPPING_CALLS)]
        meeting = Meeting(min(threads, len(asked)))

        def speak(place: int) -> str:
            with meeting.place() as arrive:
                return mark(self._wrapper.synthesize(requests[place], checkpoint=arrive).audio).sha256

        with ThreadPoolExecutor(threads, thread_name_prefix="gate") as executor:
            digests = list(executor.map(speak, asked))
        wrong = sum(digest != expected[place] for digest, place in zip(digests, asked, strict=True))
        return ThreadedBits(threads, len(asked), wrong, meeting.most)

    def _speaker(self, subject: str) -> Callable[[SpeechRequest], Any]:
        if subject == WRAPPER:
            return self._wrapper.synthesize
        return lambda request: self._engine.submit(request).result()

    def _cell(self, plan: CellPlan) -> GateCell:
        speak = self._speaker(plan.subject)
        places = [number % len(self._requests) for number in range(plan.calls)]
        with ThreadPoolExecutor(plan.workers, thread_name_prefix="gate") as executor:
            # Threads are started before the clock is.
            list(executor.map(lambda _: time.sleep(0.002), range(plan.workers)))
            release_free_memory()
            with PeakMemory() as memory:
                cpu, began = time.process_time(), time.perf_counter()
                results = list(executor.map(lambda place: speak(self._requests[place]), places))
                wall_s, cpu_s = time.perf_counter() - began, time.process_time() - cpu
        expected = self._expected[plan.subject]
        wrong = sum(mark(result.audio).sha256 != expected[place] for result, place in zip(results, places, strict=True))
        audio_s = sum(float(result.duration) for result in results)
        return GateCell(
            plan.subject, plan.workers, plan.calls, wall_s, cpu_s, audio_s, memory.before_mib, memory.peak_mib, wrong
        )
