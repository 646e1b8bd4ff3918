"""The whole soak: references, planted defects, rounds until the time is up, and batches that are ended and resumed."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import soundfile
import torch

from harness.run.soak.adapter import MixedAdapter
from harness.run.soak.batches import BatchPlan, batch_requests, run_cycle
from harness.run.soak.planted import DEFECTS
from harness.run.soak.records import SOAK, WARM_UP, BatchCycle
from harness.run.soak.references import stock_references
from harness.run.soak.rounds import Stage, play
from harness.run.soak.schedule import plain_round, plan_round
from harness.run.soak.trips import Trips
from harness.workload.soak import CLIPS, FAMILIES, RECORDING_SECONDS, RECORDINGS, make_requests
from stateless_tts import StatelessChatterBoxWrapper
from stateless_tts.streaming import MAX_WORKERS, StreamingConfig
from stateless_tts.synthetic import build_chatterbox, synthetic_clip

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from harness.run.soak.records import SoakReference, SoakRound
    from harness.workload.soak import SoakRequest

# What of the time is for the rounds; batches are started as long as another is likely to end in time.
_ROUNDS_SHARE = 0.8
_WARM_UPS = 2
_LEAST_TIMEOUT_S = 4.0
# A segment that is left alone may take this many times what the slowest took while as many were spoken at once.
_TIMEOUT_MARGIN = 2.0
_GRACE_S = 0.5
# Of a request: 1.5 s of audio.
_MOST_SAMPLES = 36_000
_CLIP_RATE_HZ = 24_000


@dataclass(frozen=True)
class SoakPlan:
    """How long, how wide.

    Attributes:
        seed: decides requests, faults and when they happen.
        seconds: for all of it, about.
        workers: of every processor.
        per_family: distinct requests of each family.
        healthy: segments of a round to which nothing is done.
        batch_lines: lines of each batch.
        plain: segments of a round in which a defect is planted.
    """

    seed: int = 0
    seconds: float = 480.0
    workers: int = MAX_WORKERS
    per_family: int = 5
    healthy: int = 16
    batch_lines: int = 12
    plain: int = 4


class Writer(Protocol):
    """Takes what is seen, as soon as it is; `harness.observations.soak_store.SoakWriter` saves it."""

    def references(self, references: Iterable[SoakReference], /) -> None: ...

    def round(self, seen: SoakRound, /) -> None: ...

    def cycle(self, cycle: BatchCycle, /) -> None: ...


@dataclass
class SoakCampaign:
    """Runs a plan, writing down everything as it is seen.

    Attributes:
        plan: what to run.
        writer: takes what is seen.
        on_event: told in one line what has been done.
    """

    plan: SoakPlan
    writer: Writer
    on_event: Callable[[str], None] = lambda _line: None
    _began: float = field(default_factory=time.monotonic)

    def run(self) -> None:
        """Run all of it."""
        torch.set_num_threads(1)
        requests = make_requests(self.plan.seed, self.plan.per_family)
        lines = batch_requests(self.plan.seed, self.plan.batch_lines)
        with tempfile.TemporaryDirectory(prefix="soak-") as name:
            folder = Path(name)
            clips = _write_clips(folder, self.plan.seed)
            references = stock_references([*requests, *lines], clips)
            self.writer.references(references)
            self.on_event(f"{len(references)} references by stock, one at a time")
            requests = _short_ones(requests, references)
            stage = self._stage(folder, clips)
            stage = self._warmed_up(stage, requests)
            self._plant_defects(stage, requests)
            self._rounds(stage, requests)
            del stage
        self._batches(lines, references)

    @property
    def _left(self) -> float:
        return self._began + self.plan.seconds - time.monotonic()

    def _stage(self, folder: Path, clips: dict[str, Path]) -> Stage:
        trips = Trips()
        wrappers = {}
        for family in FAMILIES:
            model = build_chatterbox(family)
            trips.lay(model)
            wrappers[family] = StatelessChatterBoxWrapper(model)

        def forget_voices() -> None:  # so that they are prepared anew in every round, by several at once
            for wrapper in wrappers.values():
                wrapper.voices.clear()

        return Stage(
            MixedAdapter(wrappers),
            trips,
            clips,
            _write_spoiled,
            folder,
            StreamingConfig(
                batch_size=self.plan.workers,
                max_workers=self.plan.workers,
                max_pending=2 * self.plan.workers,
                timeout_grace=_GRACE_S,
            ),
            after_round=forget_voices,
        )

    def _warmed_up(self, stage: Stage, requests: Sequence[SoakRequest]) -> Stage:
        """Play rounds without faults, and return the stage with a time-out that leaves room for what the last took.

        The first pays for what is done once in a process, and would make every time-out half as long again.
        """
        segments = self.plan.workers + self.plan.healthy
        for number in range(_WARM_UPS):
            seen = play(stage, plain_round(number, requests, segments), WARM_UP)
            self.writer.round(seen)
            timeout = _timeout(seen)
            self.on_event(f"warm-up: {len(seen.endings)} results in {seen.seconds:.1f} s; time-out {timeout:.1f} s")
        return replace(stage, config=replace(stage.config, worker_timeout=timeout))

    def _plant_defects(self, stage: Stage, requests: Sequence[SoakRequest]) -> None:
        """Play rounds with a planted defect each; a short timetable leaves out none, as each is a matter of seconds."""
        for defect in DEFECTS:
            with defect.plant(stage) as defective:
                for number in range(defect.rounds):
                    self.writer.round(play(defective, plain_round(number, requests, self.plan.plain), defect.name))
            self.on_event(f"planted: {defect.name}")

    def _rounds(self, stage: Stage, requests: Sequence[SoakRequest]) -> None:
        number = 0
        while number == 0 or self._left > (1 - _ROUNDS_SHARE) * self.plan.seconds:
            seen = play(stage, plan_round(self.plan.seed, number, requests, self.plan.healthy), SOAK)
            self.writer.round(seen)
            number += 1
            self.on_event(f"round {number}: {len(seen.endings)} results in {seen.seconds:.1f} s")

    def _batches(self, lines: Sequence[SoakRequest], references: Sequence[SoakReference]) -> None:
        by_key = {reference.request: reference for reference in references}
        plan = BatchPlan(
            texts=tuple(line.text for line in lines),
            expected={line.key: by_key[line.key].file_sha256 for line in lines},
            sizes={line.key: 44 + 2 * by_key[line.key].samples for line in lines},
            seed=self.plan.seed,
            workers=self.plan.workers,
        )
        number, took = 0, 0.0
        while number == 0 or self._left > took:
            began = time.monotonic()
            cycle: BatchCycle = run_cycle(replace(plan, seed=plan.seed + number))
            self.writer.cycle(cycle)
            number, took = number + 1, time.monotonic() - began
            self.on_event(f"batch {number}: ended and resumed {len(cycle.runs) - 1} times in {took:.1f} s")


def _short_ones(requests: Sequence[SoakRequest], references: Sequence[SoakReference]) -> tuple[SoakRequest, ...]:
    """Leave out what came out long, but leave each family one: the slowest decides how long a time-out takes."""
    known = {reference.request: reference for reference in references}
    shortest = [
        min((r for r in requests if r.family == family), key=lambda r: known[r.key].samples) for family in FAMILIES
    ]
    return tuple(r for r in requests if known[r.key].samples <= _MOST_SAMPLES or r in shortest)


def _timeout(warm_up: SoakRound) -> float:
    return max(_LEAST_TIMEOUT_S, _TIMEOUT_MARGIN * max(ending.seconds for ending in warm_up.endings))


def _write_clips(folder: Path, seed: int) -> dict[str, Path]:
    lengths = {**CLIPS, **dict.fromkeys(RECORDINGS, RECORDING_SECONDS)}
    clips = {name: folder / f"{name}.wav" for name in lengths}
    for place, (name, seconds) in enumerate(lengths.items()):
        soundfile.write(str(clips[name]), synthetic_clip(100 * seed + place, seconds), _CLIP_RATE_HZ, subtype="PCM_16")
    return clips


def _write_spoiled(path: Path, seed: int) -> Path:
    """Write a clip like no other; Turbo's are long."""
    samples = synthetic_clip(1_000_000 + seed, max(CLIPS.values()))
    soundfile.write(str(path), samples, _CLIP_RATE_HZ, subtype="PCM_16")
    return path
