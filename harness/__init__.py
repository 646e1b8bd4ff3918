"""The stress harness: it asks any subject whether many threads may use it at once.

Data flows one way: workload -> run -> observations -> verdict -> report. Nothing later in that line is
imported by anything earlier, and raw observations are on disk before anything is concluded from them.
"""

from __future__ import annotations

from harness.errors import HarnessError, ReferenceFailedError, SavedFileError, SubjectError, UsageError
from harness.subject import Subject

__all__ = [
    "HarnessError",
    "ReferenceFailedError",
    "SavedFileError",
    "Subject",
    "SubjectError",
    "UsageError",
]
