"""Utterances: one or more pieces of speech and pauses that make one piece of audio."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .assembly import join
from .script import Speech
from .streaming import StreamingCoordinator, StreamingSegment, segment_seed

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Generator, Mapping, Sequence

    import torch

    from .script import Pause
    from .streaming import StreamingConfig, StreamingEngineAdapter, StreamingResult
    from .voice import Voice


@dataclass(frozen=True)
class Utterance:
    """What is to be spoken into one piece of audio.

    Attributes:
        pieces: in order, at least one of them speech.
        seed: the first piece is spoken with it, as it is; later pieces with seeds derived from it.
        voices: reference clip or `Voice` by character; who has none speaks with the default voice.
        parameters: the engine's, other than the seed.
    """

    pieces: tuple[Speech | Pause, ...]
    seed: int
    voices: Mapping[str, str | os.PathLike[str] | Voice | None] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SpokenUtterance:
    """What became of an utterance: audio, or the exception it failed with.

    Attributes:
        index: its place among those that were given.
        audio: float32 of shape (1, samples); None if any piece failed.
        sample_rate: in Hz; 0 if any piece failed.
        error: of the first piece that failed.
    """

    index: int
    audio: torch.Tensor | None
    sample_rate: int
    error: BaseException | None = None


def speak_utterances(
    utterances: Sequence[Utterance],
    adapter: StreamingEngineAdapter,
    config: StreamingConfig,
    *,
    device: str = "auto",
    on_result: Callable[[StreamingResult], None] | None = None,
) -> Generator[SpokenUtterance, None, None]:
    """Speak utterances, yielding each when its last piece is done; exactly one result for each.

    The threads end when the generator is closed or an exception, such as that of Ctrl-C, passes through it.

    Args:
        utterances: what to speak.
        adapter: the engine.
        config: see `StreamingConfig`.
        device: where models are loaded to.
        on_result: called with the result of every piece.
    """
    jobs: dict[int, tuple[int, int]] = {}
    segments: list[StreamingSegment] = []
    for index, utterance in enumerate(utterances):
        is_first = True
        for place, piece in enumerate(utterance.pieces):
            if isinstance(piece, Speech):
                jobs[len(segments)] = index, place
                segments.append(_segment(len(segments), utterance, place, piece, is_first=is_first))
                is_first = False
    gathered: dict[int, dict[int, StreamingResult]] = {}
    with StreamingCoordinator.stream(segments, adapter, config, device=device) as run:
        for result in run:
            if on_result is not None:
                on_result(result)
            index, place = jobs[result.index]
            parts = gathered.setdefault(index, {})
            parts[place] = result
            if len(parts) == sum(isinstance(piece, Speech) for piece in utterances[index].pieces):
                yield _assemble(index, utterances[index], gathered.pop(index))


def _segment(index: int, utterance: Utterance, place: int, piece: Speech, *, is_first: bool) -> StreamingSegment:
    seed = utterance.seed if is_first else segment_seed(utterance.seed, place)
    return StreamingSegment(
        index=index,
        text=piece.text,
        character=piece.character,
        language=piece.language,
        voice_path=utterance.voices.get(piece.character),
        metadata={**utterance.parameters, "seed": seed},
    )


def _assemble(index: int, utterance: Utterance, results: Mapping[int, StreamingResult]) -> SpokenUtterance:
    for _, result in sorted(results.items()):
        if result.audio is None:
            return SpokenUtterance(index, None, 0, result.error)
    rate = int((next(iter(results.values())).metadata or {})["sample_rate"])
    parts: list[torch.Tensor | float] = []
    for place, piece in enumerate(utterance.pieces):
        audio = results[place].audio if isinstance(piece, Speech) else piece.seconds
        assert audio is not None
        parts.append(audio)
    return SpokenUtterance(index, join(parts, rate), rate)
