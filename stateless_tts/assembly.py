"""Putting pieces of audio together: one after the other, or on their time stamps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from .errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Sequence

TIMINGS = ("overlap", "shift")


@dataclass(frozen=True)
class TimedAudio:
    """Audio that has a place.

    Attributes:
        audio: float of shape (1, samples).
        start: where it begins, in seconds.
        end: where its slot ends, in seconds.
        name: for reports.
    """

    audio: torch.Tensor
    start: float
    end: float
    name: str


def join(pieces: Sequence[torch.Tensor | float], sample_rate: int) -> torch.Tensor:
    """Put pieces one after the other.

    Args:
        pieces: audio, float of shape (1, samples), or silence in seconds.
        sample_rate: in Hz.

    Returns:
        Audio of shape (1, samples). A single piece is returned as it is.
    """
    if not pieces:
        raise InvalidParameterError("pieces=(): expected at least one")
    joined = [
        piece if isinstance(piece, torch.Tensor) else torch.zeros(1, round(piece * sample_rate)) for piece in pieces
    ]
    return joined[0] if len(joined) == 1 else torch.cat(joined, dim=1)


def place(pieces: Sequence[TimedAudio], sample_rate: int, timing: str = "overlap") -> tuple[torch.Tensor, list[str]]:
    """Put pieces on their time stamps, on silence.

    Args:
        pieces: by start.
        sample_rate: in Hz.
        timing: ``"overlap"`` keeps every start, and mixes what overlaps; ``"shift"`` begins a piece only when the one
            before has ended.

    Returns:
        Audio of shape (1, samples) that lasts to the end of the last slot, or as long as there is speech; and a line
        for each piece that is longer than its slot, or was shifted.
    """
    if timing not in TIMINGS:
        raise InvalidParameterError(f"timing={timing!r}: expected one of {', '.join(TIMINGS)}")
    report: list[str] = []
    begins: list[int] = []
    free = 0  # the sample from which nothing has been placed yet
    for piece in pieces:
        begin = round(piece.start * sample_rate)
        seconds = piece.audio.shape[1] / sample_rate
        if seconds > piece.end - piece.start:
            report.append(f"{piece.name} lasts {seconds:.3f} s, its slot {piece.end - piece.start:.3f} s")
        if timing == "shift" and begin < free:
            report.append(f"{piece.name} begins {(free - begin) / sample_rate:.3f} s late, after what is spoken before")
            begin = free
        begins.append(begin)
        free = max(free, begin + piece.audio.shape[1])
    length = max([free, *(round(piece.end * sample_rate) for piece in pieces)], default=0)
    track = torch.zeros(1, length)
    for begin, piece in zip(begins, pieces, strict=True):
        track[:, begin : begin + piece.audio.shape[1]] += piece.audio
    return track, report
