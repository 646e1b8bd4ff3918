"""A bfloat16 step in chains has the bits of a step of torch's operations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stateless_tts.engine import _start_up
from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._start_up import Speaking, prepare_decoding
from stateless_tts.engine.chains import TorchStep, _torch_step, torch_step
from stateless_tts.engine.streamed import Matrices, streamed_product
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatterbox.tts import ChatterboxTTS

product = streamed_product(torch.bfloat16)
pytestmark = pytest.mark.skipif(
    product is None or not isinstance(product.arithmetic, Matrices), reason="this machine has no AMX"
)
MOST = 8


@pytest.fixture(scope="module")
def speaking(model: ChatterboxTTS) -> Speaking:
    """Return what an engine decodes with, whose steps are chained."""
    found = prepare_decoding(model.t3, MOST, torch.bfloat16, pack=True)
    assert isinstance(found.step, TorchStep)
    assert found.plan.like_stock
    return found


def readings(speaking: Speaking, requests: Sequence[tuple[int, int]]) -> list[Reading]:
    t3, made = speaking.t3, []
    heads, head_dim = t3.cfg.num_key_value_heads, t3.tfmr.layers[0].self_attn.head_dim
    for number, (tokens, rows) in enumerate(requests):
        noise = torch.Generator().manual_seed(number)
        past = torch.randn(len(t3.tfmr.layers), 2, rows, heads, tokens, head_dim, generator=noise).bfloat16()
        cache = KeyValueCache([(keys, values) for keys, values in past])
        watch = _start_up._Nobody() if number % 2 else None  # as the multilingual model's attention is watched
        made.append(Reading(cache, rows, torch.full((1, 1), number), position=1 + number, watch=watch))
    return made


@settings(deadline=None, max_examples=20)
@given(
    requests=st.lists(st.tuples(st.integers(1, 200), st.integers(1, 2)), min_size=1, max_size=MOST),
    threads=st.integers(1, 3),
)
def test_it_has_the_bits_of_torchs(speaking: Speaking, requests: list[tuple[int, int]], threads: int) -> None:
    ours, theirs = readings(speaking, requests), readings(speaking, requests)
    padded = speaking.plan.padded(sum(rows for _, rows in requests))
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for _ in range(2):  # the second reads what the first has written
            found, expected = speaking.step(ours), batched_step(speaking.t3, theirs, padded)
            assert all(map(torch.equal, found, expected))
    finally:
        torch.set_num_threads(before)
    for one, other in zip(ours, theirs, strict=True):
        length = one.cache.length
        assert length == other.cache.length
        for mine, yours in zip(one.cache._buffers, other.cache._buffers, strict=True):
            assert torch.equal(mine[..., :length, :], yours[..., :length, :])


def test_other_bits_than_torchs_are_not_taken(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = TorchStep._logits
    monkeypatch.setattr(TorchStep, "_logits", lambda step, rows: logits(step, rows) * 1.01)
    assert not isinstance(prepare_decoding(model.t3, 4, torch.bfloat16, pack=True).step, TorchStep)


@pytest.mark.parametrize("cause", [RuntimeError, OSError])
def test_without_machine_code_steps_are_torchs(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch, cause: type[Exception]
) -> None:
    def refuse() -> None:
        raise cause("this is not to be had")

    monkeypatch.setattr(_torch_step, "torch_rows", refuse)
    assert torch_step(speaking.t3, 2 * MOST, speaking.plan.padded) is None


def test_float32_and_turbo_are_left_to_others(model: ChatterboxTTS) -> None:
    float32 = prepare_decoding(model.t3, 4, torch.float32, pack=True)
    assert torch_step(float32.t3, 8, float32.plan.padded) is None
    turbo = prepare_decoding(build_chatterbox("turbo").t3, 4, torch.bfloat16, pack=True)
    assert torch_step(turbo.t3, 8, turbo.plan.padded) is None
