from __future__ import annotations

import time

import pytest

from stateless_tts.streaming import SegmentCancelledError, SegmentControl, SegmentTimeoutError


def test_passes_until_begun_and_overdue() -> None:
    control = SegmentControl(4, timeout=1e-9)
    control.checkpoint()
    control.begin()
    while control.deadline is None or time.monotonic() <= control.deadline:
        pass
    with pytest.raises(SegmentTimeoutError, match="segment 4 took longer than worker_timeout=1e-09 s"):
        control.checkpoint()


def test_stop_comes_before_the_time_out() -> None:
    control = SegmentControl(4, timeout=1e-9)
    control.begin()
    control.stop(SegmentCancelledError("enough"))
    with pytest.raises(SegmentCancelledError, match="enough"):
        control.checkpoint()


def test_a_retry_starts_the_clock_anew() -> None:
    control = SegmentControl(4, timeout=1000)
    control.begin()
    first = control.deadline
    control.begin()
    assert first is not None
    assert control.deadline is not None
    assert control.deadline >= first
    control.checkpoint()
