from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from harness.hazards.bench import Bench


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One tiny model for every reproduction: its own, for other tests let stock write to theirs."""
    from harness.hazards.bench import Bench

    with one_torch_thread():
        yield Bench(tmp_path_factory.mktemp("bench"))
