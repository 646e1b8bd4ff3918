"""One round: a processor with sixteen workers, and everything that happens to it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.run.digest import mark
from harness.run.memory import release_free_memory, resident_mib
from harness.run.soak import schedule
from harness.run.soak.adapter import FaultyAdapter
from harness.run.soak.outputs import FullDisk
from harness.run.soak.records import SegmentEnding, SoakRound, Submission
from stateless_tts.streaming import StreamingSegment, TrueStreamingProcessor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from harness.run.soak.schedule import PlannedSegment, RoundPlan
    from harness.run.soak.trips import Trips
    from stateless_tts.streaming import StreamingConfig, StreamingEngineAdapter, StreamingResult


@dataclass(frozen=True)
class Stage:
    """What every round is played on.

    Attributes:
        engine: speaks.
        trips: places in the engine's models.
        clips: path by name, of reference clips and recordings.
        spoil: writes a clip that nobody else uses to a path.
        folder: for what a round writes.
        config: of every processor.
        processor: makes one; another kind than the usual to see whether its defect is caught.
        after_round: called when a round's processor is gone.
    """

    engine: StreamingEngineAdapter
    trips: Trips
    clips: Mapping[str, Path]
    spoil: Callable[[Path, int], Path]
    folder: Path
    config: StreamingConfig
    processor: type[TrueStreamingProcessor] = TrueStreamingProcessor
    after_round: Callable[[], None] = lambda: None


def play(stage: Stage, plan: RoundPlan, phase: str) -> SoakRound:
    """Play one round and return what was seen."""
    began, before = time.perf_counter(), thread_names()
    (replaced, retried), round_ = _play(stage, plan)
    stage.after_round()
    release_free_memory()
    return SoakRound(
        phase=phase,
        number=plan.number,
        seconds=time.perf_counter() - began,
        shut_down=plan.shut_down_after is not None,
        submissions=tuple(round_.submissions),
        endings=tuple(round_.endings),
        fired=tuple(round_.fired),
        threads_before=before,
        threads_after=thread_names(),
        memory_mib=resident_mib(),
        workers_replaced=replaced,
        retried=retried,
    )


def thread_names() -> tuple[str, ...]:
    """Return the names of the threads that run, in order."""
    return tuple(sorted(thread.name for thread in threading.enumerate()))


def _play(stage: Stage, plan: RoundPlan) -> tuple[tuple[int, int], _Round]:
    """Play the round and return how many workers were replaced and segments retried, and what was seen.

    Numbers alone: metrics hold the failures, their tracebacks hold the frames of the calls, and those hold tensors,
    which are to be gone when memory is looked at.
    """
    by_index = {planned.index: planned for planned in plan.segments}
    with FaultyAdapter(stage.engine, by_index, stage.trips, lambda index: _spoiled(stage, plan, index)) as adapter:
        round_ = _Round(stage, plan, adapter)
        try:
            with stage.processor(adapter, stage.config, seed=plan.number) as processor:
                for taken, result in enumerate(processor.process(round_.segments()), 1):
                    round_.take(result)
                    round_.disturb(processor, taken)
                    del result  # its audio is not to be held while the next is waited for
                adapter.release()
            return (processor.metrics.workers_replaced, processor.metrics.retried_segments), round_
        finally:
            round_.clean_up()


def _spoiled(stage: Stage, plan: RoundPlan, index: int) -> Path:
    return stage.spoil(stage.folder / f"spoiled-{index}.wav", 1000 * plan.number + index)


class _Round:
    """A round under way: what has been handed in, what came back, and what was done to it."""

    def __init__(self, stage: Stage, plan: RoundPlan, adapter: FaultyAdapter) -> None:
        self.submissions: list[Submission] = []
        self.endings: list[SegmentEnding] = []
        self._stage = stage
        self._plan = plan
        self._adapter = adapter
        self._closed = False
        self._doomed = stage.folder / "doomed"
        full_for = frozenset(planned.index for planned in plan.segments if planned.fault == schedule.DISK_FULL)
        self._disk = FullDisk(stage.folder / "outputs", full_for, lambda index: adapter.note(index, schedule.DISK_FULL))

    @property
    def fired(self) -> list[tuple[int, str]]:
        return self._adapter.fired

    def segments(self) -> Iterator[StreamingSegment]:
        """Yield the segments, each of which counts as handed in from then on."""
        for planned in self._plan.segments:
            if self._closed:
                return
            self.submissions.append(Submission(planned.index, planned.request.key, planned.fault))
            yield self._segment(planned)

    def take(self, result: StreamingResult) -> None:
        """Write down `result`, and its audio into a file."""
        audio = result.audio
        ending = SegmentEnding(
            index=result.index,
            success=result.success,
            error=_kinds(result.error),
            message=self._without_folder(result.error_msg),
            worker_id=result.worker_id,
            seconds=result.processing_time,
        )
        if audio is not None:
            ending = replace(ending, sha256=mark(audio).sha256, samples=audio.shape[-1], peak=float(audio.abs().max()))
            try:
                self._disk.write(result.index, audio, int((result.metadata or {})["sample_rate"]))
            except OSError as error:
                ending = replace(ending, file_error=_kinds(error), message=self._without_folder(str(error)))
        self.endings.append(ending)

    def disturb(self, processor: TrueStreamingProcessor, taken: int) -> None:
        """Do what is planned for the moment when `taken` results have been taken."""
        if taken == self._plan.clips_deleted_after and self._doomed.exists():
            shutil.rmtree(self._doomed)
            for submission in self.submissions:
                if submission.fault == schedule.CLIP_DELETED:
                    self._adapter.note(submission.index, schedule.CLIP_DELETED)
        for planned in self._plan.segments:
            if (
                planned.fault == schedule.CANCELLED
                and max(1, planned.after) == taken
                and processor.cancel(planned.index)
            ):
                self._adapter.note(planned.index, schedule.CANCELLED)
        if taken == self._plan.shut_down_after:
            self._closed = True
            processor.close()
            processor.cancel()
            self._adapter.release()  # what hangs is cancelled by now, and need not be waited for
            processor.shutdown()
            self._adapter.note(-1, schedule.SHUT_DOWN)

    def clean_up(self) -> None:
        """Read back the files, and delete them with everything else."""
        files = self._disk.digests()
        self.endings = [replace(ending, file_sha256=files.get(ending.index, "")) for ending in self.endings]
        self._disk.clear()
        shutil.rmtree(self._doomed, ignore_errors=True)
        for clip in self._stage.folder.glob("spoiled-*.wav"):
            clip.unlink()

    def _without_folder(self, message: str) -> str:
        """Return `message` with paths as they are below the folder: where that is, is nobody's business."""
        return message.replace(f"{self._stage.folder}{os.sep}", "")

    def _segment(self, planned: PlannedSegment) -> StreamingSegment:
        request, clips = planned.request, self._stage.clips
        clip = clips[request.clip] if request.clip else None
        if clip is not None and planned.fault == schedule.CLIP_DELETED:
            clip = self._doomed_copy(clip)
        metadata = {**request.parameters, "seed": request.seed, "family": request.family}
        if request.recording:
            metadata["recording"] = str(clips[request.recording])
        return StreamingSegment(
            planned.index, request.text, language=request.language, voice_path=clip, metadata=metadata
        )

    def _doomed_copy(self, clip: Path) -> Path:
        """Return a copy of `clip` that is deleted in mid-run, or has been."""
        copy = self._doomed / clip.name
        if len(self.endings) < self._plan.clips_deleted_after:
            self._doomed.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(clip, copy)
        return copy


def _kinds(error: BaseException | None) -> tuple[str, ...]:
    return () if error is None else tuple(kind.__name__ for kind in type(error).__mro__[:-1])
