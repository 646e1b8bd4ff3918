"""`python -m harness COMMAND`: a thin dispatcher; every command is a module of `harness.commands`."""

from __future__ import annotations

import os
import sys
import threading
from typing import NoReturn

from harness.commands import main


def leave(status: int) -> NoReturn:
    """End the process with `status`, whatever calls that were given up are still doing.

    While Python finalises, such a thread cannot come back from a torch operation: the process would abort, with a
    status of its own (https://github.com/pytorch/pytorch/issues/38228).
    """
    # The thread that watches over progress bars does nothing else.
    others = (thread for thread in threading.enumerate() if not type(thread).__module__.startswith("tqdm"))
    if any(thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    sys.exit(status)


if __name__ == "__main__":
    leave(main(sys.argv[1:]))
