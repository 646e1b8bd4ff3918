"""What the tiny synthetic model promises: built within 5 s, a short sentence within 0.5 s on one core."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from harness.run.torch_threads import one_torch_thread
from stateless_tts import SpeechRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

    from stateless_tts import StatelessChatterBoxWrapper

pytestmark = [pytest.mark.timed, pytest.mark.slow]


@pytest.fixture
def one_core() -> Iterator[None]:
    """Let one torch operation use one core."""
    with one_torch_thread():
        yield


@pytest.mark.benchmark(group="synthetic")
@pytest.mark.parametrize("family", ["english", "multilingual", "turbo", "vc"])
def test_build_tiny(benchmark: BenchmarkFixture, family: str) -> None:
    from stateless_tts.synthetic import build_chatterbox

    built = benchmark.pedantic(  # type: ignore[no-untyped-call]
        build_chatterbox, kwargs={"family": family}, rounds=3, warmup_rounds=1
    )
    assert built is not None


@pytest.mark.benchmark(group="synthetic")
@pytest.mark.usefixtures("one_core")
def test_speak_a_short_sentence(benchmark: BenchmarkFixture, wrapper: StatelessChatterBoxWrapper) -> None:
    request = SpeechRequest("Twenty characters ok", seed=1)
    assert benchmark(wrapper.synthesize, request).duration > 0
