"""A soak without models: an engine of arithmetic that has the stages of a real one."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from harness.run.digest import mark
from harness.run.soak.records import SoakReference
from harness.run.soak.rounds import Stage
from harness.run.soak.schedule import STAGES
from harness.run.soak.trips import Trips
from harness.workload.soak import CLIPS, RECORDINGS, make_requests
from stateless_tts import InvalidClipError
from stateless_tts.files import wav_bytes
from stateless_tts.streaming import ChatterBoxStreamingAdapter, SegmentAudio, StreamingConfig, StreamingEngineAdapter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from stateless_tts.streaming import StreamingSegment

RATE = 24_000
REQUESTS = make_requests(0, 2)


class ToyEngine(StreamingEngineAdapter):
    """Audio from the seed alone; goes through all stages, with checkpoints between them."""

    parameter_names = ChatterBoxStreamingAdapter.parameter_names

    def __init__(self, trips: Trips) -> None:
        self._trips = trips

    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        clip = segment.voice_path
        if isinstance(clip, Path) and not clip.exists():
            raise InvalidClipError(f"reference clip {str(clip)!r} does not exist")
        for stage in STAGES:
            self._trips.step_on(stage)
            checkpoint()
            time.sleep(0.004)
        return SegmentAudio(toy_audio(parameters["seed"]), RATE)


def toy_audio(seed: int) -> torch.Tensor:
    return torch.rand(1, 100, generator=torch.Generator().manual_seed(seed)) - 0.5


def toy_references() -> dict[str, SoakReference]:
    references = {}
    for request in REQUESTS:
        audio = toy_audio(request.seed)
        digest = hashlib.sha256(wav_bytes(audio, RATE)).hexdigest()
        references[request.key] = SoakReference(request.key, mark(audio).sha256, digest, 100, 0.01)
    return references


def toy_stage(folder: Path) -> Stage:
    clips = {name: folder / f"{name}.wav" for name in (*CLIPS, *RECORDINGS)}
    for clip in clips.values():
        clip.touch()
    trips = Trips()

    def spoil(path: Path, _seed: int) -> Path:
        path.touch()
        return path

    config = StreamingConfig(
        batch_size=16, max_workers=16, max_pending=20, worker_timeout=1.5, timeout_grace=0.1, shutdown_timeout=20
    )
    return Stage(ToyEngine(trips), trips, clips, spoil, folder, config)
