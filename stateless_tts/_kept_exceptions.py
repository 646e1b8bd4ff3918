"""Exceptions that outlive the call that raised them: in a future, or in a result."""

from __future__ import annotations

import contextlib
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def forget_frames(raised: BaseException) -> None:
    """Let an exception, and all that it came from, keep the lines of its traceback as a note, and the frames go.

    A frame refers to its variables, and to the frame that called it. What is kept with a traceback keeps therefore the
    tensors of the call that it ended, and the weights of the thread that it ended on. To clear the frames would spare
    those that are still at work, as the one that caught the exception is.
    """
    for error in _chain(raised):
        if error.__traceback__ is not None:
            lines = "".join(traceback.format_tb(error.__traceback__)).rstrip()
            with contextlib.suppress(Exception):  # an exception of whatever kind has methods of its own that fail
                BaseException.add_note(error, f"Raised at\n{lines}")
            BaseException.with_traceback(error, None)


def _chain(raised: BaseException) -> Iterator[BaseException]:
    """Yield an exception, what it came from and what it came in the middle of, and so on; each once."""
    left: list[BaseException | None] = [raised]
    seen: set[int] = set()
    while left:
        error = left.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            left += [error.__cause__, error.__context__]
