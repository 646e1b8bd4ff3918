"""What can go wrong with a segment, or with the workers that speak it."""

from __future__ import annotations

from stateless_tts.errors import StatelessTTSError


class StreamingError(StatelessTTSError, RuntimeError):
    """Base of the exceptions of streaming."""


class SegmentTimeoutError(StreamingError, TimeoutError):
    """A segment took longer than it was given."""


class SegmentCancelledError(StreamingError):
    """A segment was cancelled before it was finished."""


class WorkerDiedError(StreamingError):
    """The workers that spoke a segment died of it, as often as it may be tried."""


class UnusableAudioError(StreamingError):
    """An engine returned something that is no speech: nothing, silence, or values that are not finite."""


class StreamingStartError(StreamingError):
    """The workers could not be started, or the models not loaded."""


class ProcessorClosedError(StreamingError):
    """A segment was submitted to a processor that takes no more."""
