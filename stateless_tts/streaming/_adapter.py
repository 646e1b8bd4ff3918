"""The seam between streaming and an engine."""

from __future__ import annotations

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral
from typing import TYPE_CHECKING, Any

import torch

from stateless_tts.errors import InvalidParameterError
from stateless_tts.randomness import fresh_seed

from ._errors import UnusableAudioError
from ._types import StreamingResult

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ._types import StreamingSegment


@dataclass(frozen=True)
class SegmentAudio:
    """What an engine makes of a segment.

    Attributes:
        audio: float32 of shape (1, samples) on the CPU.
        sample_rate: in Hz.
        metadata: what the engine wants to tell of it.
    """

    audio: torch.Tensor
    sample_rate: int
    metadata: Mapping[str, Any] = field(default_factory=dict)


def go_on() -> None:
    """Pass a checkpoint that nobody watches."""


class StreamingEngineAdapter(ABC):
    """An engine, as the workers see it. A new engine implements `speak_segment`, which many threads call at once.

    Attributes:
        engine_name: for messages.
        parameter_names: what `speak_segment` takes, ``seed`` included.
    """

    engine_name: str = "engine"
    parameter_names: frozenset[str] = frozenset({"seed"})

    @abstractmethod
    def speak_segment(
        self, segment: StreamingSegment, parameters: Mapping[str, Any], checkpoint: Callable[[], None]
    ) -> SegmentAudio:
        """Speak one segment.

        Args:
            segment: what to say; parameters found in its metadata are in `parameters` already.
            parameters: values for some of `parameter_names`, always with a ``seed``. The same segment and parameters
                must give the same audio.
            checkpoint: to be called as often as possible; an exception raised from it must be let through.

        Raises:
            Exception: whatever the segment fails with.
        """

    def preload_models(self, languages: Iterable[str], device: str = "auto") -> None:  # noqa: B027 - not every engine has to
        """Load what `languages` need, or raise. By default nothing is loaded beforehand."""

    def check_parameters(self, parameters: Iterable[str]) -> None:
        """Raise `InvalidParameterError` for a name that is none of the engine's."""
        unknown = sorted(set(parameters) - self.parameter_names)
        if unknown:
            raise InvalidParameterError(
                f"{', '.join(unknown)}: unknown to {self.engine_name}; expected some of "
                f"{', '.join(sorted(self.parameter_names))}"
            )

    def process_segment(
        self,
        segment: StreamingSegment,
        *,
        worker_id: int = 0,
        checkpoint: Callable[[], None] = go_on,
        **parameters: Any,  # noqa: ANN401 - each engine has parameters of its own
    ) -> StreamingResult:
        """Speak one segment and say how it went; exceptions become a failed result.

        Args:
            segment: what to say.
            worker_id: for the result.
            checkpoint: raises to end the segment.
            **parameters: for all segments; ``seed`` is the base that the segment's own seed is derived from.
        """
        begin = time.perf_counter()
        try:
            chosen = self._parameters_of(segment, parameters)
            checkpoint()
            spoken = _checked(self.speak_segment(segment, chosen, checkpoint))
            checkpoint()  # an engine that asks too seldom does not make a time-out longer
        except Exception as error:  # noqa: BLE001 - whatever it is, it is the segment's result
            spent = time.perf_counter() - begin
            return StreamingResult.failure(segment, error, worker_id=worker_id, processing_time=spent)
        told = {"seed": chosen["seed"], "sample_rate": spoken.sample_rate, **spoken.metadata}
        return StreamingResult(
            index=segment.index,
            audio=spoken.audio,
            duration=spoken.audio.shape[-1] / spoken.sample_rate,
            character=segment.character,
            language=segment.language,
            processing_time=time.perf_counter() - begin,
            worker_id=worker_id,
            metadata={**(segment.metadata or {}), **told},
        )

    def _parameters_of(self, segment: StreamingSegment, parameters: Mapping[str, Any]) -> dict[str, Any]:
        chosen = dict(parameters)
        base = chosen.pop("seed", None)
        own = {name: value for name, value in (segment.metadata or {}).items() if name in self.parameter_names}
        chosen.update(own)
        if chosen.get("seed") is None:
            chosen["seed"] = segment_seed(fresh_seed() if base is None else base, segment.index)
        return chosen


def segment_seed(base_seed: int, index: int) -> int:
    """Return the seed of segment `index`: the same in every mode, and unrelated to that of its neighbours."""
    digest = hashlib.sha256(f"{int(base_seed)}:{int(index)}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def _checked(spoken: object) -> SegmentAudio:
    if not isinstance(spoken, SegmentAudio):
        raise UnusableAudioError(f"the engine returned {_kind(spoken)}: expected SegmentAudio")
    if not isinstance(spoken.sample_rate, Integral) or spoken.sample_rate < 1:
        raise UnusableAudioError(f"sample_rate={spoken.sample_rate!r}: expected samples per second")
    if not isinstance(spoken.metadata, Mapping):
        raise UnusableAudioError(f"the engine returned metadata of type {_kind(spoken.metadata)}: expected a mapping")
    _check_samples(spoken.audio)
    return spoken


def _check_samples(audio: object) -> None:
    if not isinstance(audio, torch.Tensor):
        raise UnusableAudioError(f"the engine returned {_kind(audio)} for audio: expected a tensor")
    if audio.dtype != torch.float32 or audio.device.type != "cpu":
        raise UnusableAudioError(f"audio of {audio.dtype} on {audio.device}: expected float32 on the CPU")
    if audio.dim() != 2 or audio.shape[0] != 1:  # noqa: PLR2004 - (1, samples)
        raise UnusableAudioError(f"audio of shape {tuple(audio.shape)}: expected (1, samples)")
    if audio.shape[1] == 0:
        raise UnusableAudioError("the engine returned no samples")
    if not bool(torch.isfinite(audio).all()):
        raise UnusableAudioError("the engine returned samples that are NaN or infinite")
    if not bool(audio.any()):
        raise UnusableAudioError(f"the engine returned {audio.shape[1]} samples of digital silence")


def _kind(value: object) -> str:
    return "None" if value is None else type(value).__name__
