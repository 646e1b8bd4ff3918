from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Let torch compute with one thread, as a process that is to be forked has to."""
    with one_torch_thread():
        yield
