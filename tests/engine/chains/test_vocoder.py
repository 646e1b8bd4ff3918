"""A residual block of the vocoder as one chain is upstream's, but for rounding."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import pytest
import torch
from chatterbox.models.s3gen.hifigan import ResBlock
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.chains import ChainedVocoderBlock, _vocoder, chained_block
from stateless_tts.engine.units.matrix import matrix_units
from stateless_tts.engine.units.vector import vector_units

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from stateless_tts.engine.units import Units


LEAST_DECIBELS = {"AMX": 95.0, "vectors": 120.0}
KINDS: dict[str, Callable[[], Units | None]] = {"AMX": lambda: matrix_units(torch.float32), "vectors": vector_units}


@pytest.fixture(autouse=True, scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    """Say by which units all is computed."""
    if KINDS[request.param]() is None:
        pytest.skip("this machine has no such units")
    block_and_chain.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_vocoder, "find_units", lambda _: KINDS[request.param]())
        yield request.param


def a_block(channels: int, width: int, dilations: tuple[int, ...] = (1, 3, 5)) -> ResBlock:
    with torch.random.fork_rng():
        torch.manual_seed(channels + width)
        block = ResBlock(channels, width, list(dilations)).eval()
        for snake in (*block.activations1, *block.activations2):
            snake.alpha.data.uniform_(0.2, 5.0)
    return block


def chained(block: ResBlock) -> ChainedVocoderBlock:
    found = chained_block(block)
    assert found is not None
    return found


def samples_of(channels: int, count: int) -> torch.Tensor:
    return torch.randn(1, channels, count, generator=torch.Generator().manual_seed(count)) * 2


@cache
def block_and_chain(channels: int, width: int) -> tuple[ResBlock, ChainedVocoderBlock]:
    return a_block(channels, width), chained(a_block(channels, width))


@settings(deadline=None, max_examples=40)
@given(shape=st.sampled_from([(32, 3), (32, 11), (96, 7)]), count=st.integers(1, 700), threads=st.integers(1, 3))
def test_it_is_near_upstreams(kind: str, shape: tuple[int, int], count: int, threads: int) -> None:
    block, chain = block_and_chain(*shape)
    samples = samples_of(shape[0], count)
    as_given = samples.clone()
    with torch.inference_mode():
        expected, found = block(samples), chain(samples)
        torch.use_deterministic_algorithms(mode=True)  # fills memory that is not written yet with NaN
        try:
            with torch_threads(threads):
                again = chain(samples)
        finally:
            torch.use_deterministic_algorithms(mode=False)
    assert found.shape == expected.shape
    assert 10 * torch.log10(expected.pow(2).sum() / (found - expected).pow(2).sum()) > LEAST_DECIBELS[kind]
    assert torch.equal(again, found)
    assert torch.equal(samples, as_given)


def test_long_audio_is_shared_out_in_parts(kind: str) -> None:
    block, chain = a_block(256, 11), chained(a_block(256, 11))
    samples = samples_of(256, 1500)
    with torch.inference_mode():
        expected, found = block(samples), chain(samples)
    assert 10 * torch.log10(expected.pow(2).sum() / (found - expected).pow(2).sum()) > LEAST_DECIBELS[kind]


def test_callers_share_it() -> None:
    _, chain = block_and_chain(32, 7)
    copied = copy.deepcopy(chain)

    @torch.inference_mode()
    def call(one: ChainedVocoderBlock, count: int) -> torch.Tensor:
        use_cores(1)
        found: torch.Tensor = one(samples_of(32, count))
        return found

    asked = [(one, count) for one in (chain, copied) for count in (5, 300, 64)] * 6
    expected = {count: call(chain, count) for count in (5, 300, 64)}
    with ThreadPoolExecutor(8) as callers:
        for (_, count), found in zip(asked, callers.map(lambda asked: call(*asked), asked), strict=True):
            assert torch.equal(found, expected[count])


def test_other_numbers_are_refused() -> None:
    _, chain = block_and_chain(32, 3)
    with pytest.raises(ValueError, match=r"samples of torch.bfloat16 .* expected torch.float32"):
        chain(samples_of(32, 9).bfloat16())


def test_upstreams_weights_are_neither_written_nor_needed() -> None:
    block, samples = a_block(32, 3), samples_of(32, 40)
    before = copy.deepcopy(block.state_dict())
    chain = chained(block)
    with torch.inference_mode():
        expected = chain(samples)
        assert all(torch.equal(before[name], weight) for name, weight in block.state_dict().items())
        for parameter in block.parameters():
            parameter.data.fill_(float("nan"))
        assert torch.equal(chain(samples), expected)


@pytest.mark.parametrize("change", ["channels", "length", "groups"])
def test_what_is_not_written_down_is_left_to_others(change: str) -> None:
    block = a_block(16 if change == "channels" else 32, 3)
    if change == "length":
        block.convs1[1].padding = (0,)
    if change == "groups":
        block.convs1[1] = torch.nn.Conv1d(32, 32, 3, padding=1, groups=32)
    assert chained_block(block) is None
