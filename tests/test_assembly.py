from __future__ import annotations

import pytest
import torch

from stateless_tts import InvalidParameterError
from stateless_tts.assembly import TimedAudio, join, place

RATE = 10


def tone(samples: int, value: float = 1.0) -> torch.Tensor:
    return torch.full((1, samples), value)


def test_join_puts_silence_between() -> None:
    joined = join([tone(2), 0.3, tone(1, 2.0)], RATE)
    assert joined.tolist() == [[1.0, 1.0, 0.0, 0.0, 0.0, 2.0]]


def test_a_single_piece_is_left_as_it_is() -> None:
    piece = tone(2)
    assert join([piece], RATE) is piece
    with pytest.raises(InvalidParameterError, match="at least one"):
        join([], RATE)


def test_pieces_stand_on_their_time_stamps() -> None:
    track, report = place([TimedAudio(tone(2), 0.2, 0.5, "a"), TimedAudio(tone(1, 2.0), 0.6, 0.9, "b")], RATE)
    assert track.tolist() == [[0, 0, 1, 1, 0, 0, 2, 0, 0]]
    assert report == []


def test_what_is_too_long_is_reported_and_mixed_or_shifted() -> None:
    pieces = [TimedAudio(tone(4), 0.0, 0.2, "a"), TimedAudio(tone(2, 2.0), 0.2, 0.4, "b")]
    mixed, report = place(pieces, RATE)
    assert mixed.tolist() == [[1, 1, 3, 3]]
    assert report == ["a lasts 0.400 s, its slot 0.200 s"]
    shifted, report = place(pieces, RATE, "shift")
    assert shifted.tolist() == [[1, 1, 1, 1, 2, 2]]
    assert report[1] == "b begins 0.200 s late, after what is spoken before"


def test_an_unknown_timing_is_named() -> None:
    with pytest.raises(InvalidParameterError, match="timing='stretch': expected one of overlap, shift"):
        place([], RATE, "stretch")
