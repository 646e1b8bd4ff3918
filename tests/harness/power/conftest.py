from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.torch_threads import one_torch_thread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.tts import ChatterboxTTS

    from harness.power.scenario import Scenario


@pytest.fixture(scope="session")
def scenario(tmp_path_factory: pytest.TempPathFactory, stock: ChatterboxTTS) -> Iterator[Scenario]:
    """One tiny model for every run."""
    from harness.power.scenario import Scenario

    with one_torch_thread():
        yield Scenario(tmp_path_factory.mktemp("power"), stock)
