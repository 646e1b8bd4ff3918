"""Exceptions of this library. Every message names the offending value and what would be accepted."""

from __future__ import annotations


class StatelessTTSError(Exception):
    """Base of every exception that this library raises by itself."""


class InvalidParameterError(StatelessTTSError, ValueError):
    """A request's text or one of its parameters is not of the right type or outside its range."""


class InvalidClipError(StatelessTTSError, ValueError):
    """A reference clip is missing, unreadable, empty, silent, not finite or too short."""


class MissingVoiceError(StatelessTTSError, ValueError):
    """Neither the request nor the model brings a voice."""


class UnsupportedModelError(StatelessTTSError, TypeError):
    """The model is not one of the ChatterBox families that this library can serve."""


class SamplingError(StatelessTTSError, RuntimeError):
    """The model's logits, under the request's parameters, give no probability distribution to sample from."""


class UnisolatedDrawError(StatelessTTSError, RuntimeError):
    """A random draw would have come from a process-wide generator instead of the call's own."""


class QueueFullError(StatelessTTSError, RuntimeError):
    """The engine has accepted as many unfinished requests as it may hold."""


class RequestTooLargeError(StatelessTTSError, ValueError):
    """The request's key/value cache alone could outgrow the engine's `max_cache_bytes`."""


class DeadlineExceededError(StatelessTTSError, TimeoutError):
    """The request was not finished by its deadline."""


class EngineClosedError(StatelessTTSError, RuntimeError):
    """The engine was closed and accepts nothing more."""


class EngineFailedError(StatelessTTSError, RuntimeError):
    """One of the engine's threads ended unexpectedly; the cause is chained."""
