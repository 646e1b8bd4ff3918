"""What the benchmark times: something that speaks a request, and tells what it said."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import torch

    from stateless_tts import SpeechRequest


@dataclass(frozen=True)
class Spoken:
    """One utterance.

    Attributes:
        audio: float of shape (1, samples).
        tokens: T3's speech tokens, int64 of shape (tokens,), if the contestant tells them.
        stage_seconds: wall time by stage, if the contestant tells it.
    """

    audio: torch.Tensor
    tokens: torch.Tensor | None = None
    stage_seconds: Mapping[str, float] = field(default_factory=dict)


def _nothing() -> None:
    """Close what needs no closing."""


@dataclass(frozen=True)
class Contestant:
    """One way to serve many callers.

    Attributes:
        name: what tables and charts call it.
        speak: called from many threads at the same time.
        servers: how many calls it works on at a time; None for as many as there are.
        one_worker: whether asking it from more than one thread makes no sense (stock).
        pids: processes that do its work in place of this one.
        details: what it tells of itself, for the report.
        close: ends its threads and processes.
    """

    name: str
    speak: Callable[[SpeechRequest], Spoken]
    servers: int | None = None
    one_worker: bool = False
    pids: tuple[int, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    close: Callable[[], Any] = _nothing
