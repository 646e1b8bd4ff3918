"""Whatever is asked for, by however many threads, in whatever order: every call gives the bits it gives alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from harness.run.torch_threads import one_torch_thread
from tests.properties.strategies import cases

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatterbox.tts import ChatterboxTTS

    from harness.replay.case import Case
    from harness.replay.player import Player

settings.register_profile(
    "bit-identity-ci",
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    print_blob=False,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def player(tmp_path_factory: pytest.TempPathFactory, stock: ChatterboxTTS) -> Iterator[Player]:
    from harness.replay.bench import tiny_player

    with one_torch_thread():
        yield tiny_player(tmp_path_factory.mktemp("clips"), model=stock)


@pytest.mark.slow
@settings(settings.get_profile("bit-identity-ci"))
@given(case=cases())
def test_concurrent_equals_sequential(player: Player, case: Case) -> None:
    differences = player.differences(case)
    assert not differences, f"{differences}\nTo reproduce it: {case.command()}"
