"""What the harness raises. Every one of them is a line for the person at the keyboard, not a traceback."""

from __future__ import annotations


class HarnessError(Exception):
    """Base of every error the harness raises on purpose."""


class SubjectError(HarnessError):
    """A `Subject` was described wrongly, or returned something other than a tensor."""


class UsageError(HarnessError):
    """The command line asks for something that cannot be done."""


class SavedFileError(HarnessError):
    """A saved file is missing, cannot be read, or has another version than this harness writes."""


class ReferenceFailedError(HarnessError):
    """The sequential reference could not be made, so nothing can be compared with it."""
