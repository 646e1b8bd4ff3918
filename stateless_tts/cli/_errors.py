"""Exit codes, and the exceptions behind them."""

from __future__ import annotations

from enum import IntEnum

from stateless_tts.errors import StatelessTTSError


class ExitCode(IntEnum):
    """What the process ends with."""

    OK = 0
    SOME_FAILED = 1
    BAD_INPUT = 2
    NO_MODEL = 3
    INTERRUPTED = 130
    TERMINATED = 143


class UsageError(StatelessTTSError):
    """What was asked for cannot be done; nothing was begun."""


class TerminatedError(BaseException):
    """SIGTERM has arrived; ends the run as Ctrl-C does."""
