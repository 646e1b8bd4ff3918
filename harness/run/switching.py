"""Make Python hand the interpreter from thread to thread far more often than it does by itself."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def switch_interval(seconds: float) -> Iterator[None]:
    """Shorten (or lengthen) the interpreter's switch interval; what it was before always comes back."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
