from __future__ import annotations

import signal

import pytest

from stateless_tts.cli._signals import interrupts_deferred


def test_ctrl_c_waits_for_the_end_of_the_block() -> None:
    done = []

    def write() -> None:
        with interrupts_deferred():
            signal.raise_signal(signal.SIGINT)
            done.append("whole")

    with pytest.raises(KeyboardInterrupt):
        write()
    assert done == ["whole"]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with interrupts_deferred():
        assert signal.getsignal(signal.SIGINT) is not before[0]
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
