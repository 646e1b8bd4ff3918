"""A step as one chain is near a step of torch's operations, and gives a row its own bits."""

from __future__ import annotations

import copy
import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine._private_t3 import with_kernels
from stateless_tts.engine._projections import Kernel
from stateless_tts.engine._start_up import prepare_decoding
from stateless_tts.engine.chains import ChainedStep, _step, _step_rows, chained_step, step_attention
from stateless_tts.engine.streamed import streamed_product
from stateless_tts.private import with_private
from stateless_tts.synthetic import build_chatterbox

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatterbox.models.t3 import T3
    from chatterbox.tts import ChatterboxTTS

needs_kernels = pytest.mark.skipif(
    streamed_product(torch.float32) is None or step_attention(64) is None, reason="the kernels are of AVX2"
)
MOST_ROWS = 32


@pytest.fixture(scope="module")
def t3(model: ChatterboxTTS) -> T3:
    """Return the view that the engine reads with."""
    return prepare_decoding(model.t3, MOST_ROWS // 2, torch.float32, pack=True).t3


def step_of(t3: T3) -> ChainedStep:
    step = chained_step(t3, MOST_ROWS, lambda rows: rows + rows % 2)
    assert step is not None
    return step


def readings(t3: T3, requests: Sequence[tuple[int, int]], numbers: Sequence[int] | None = None) -> list[Reading]:
    """Return requests of so many tokens and rows; what they are made of depends on their number alone."""
    made = []
    heads, head_dim, layers = t3.cfg.num_key_value_heads, 64, len(t3.tfmr.layers)
    for number, (tokens, rows) in zip(numbers or itertools.count(), requests, strict=False):
        noise = torch.Generator().manual_seed(number)
        past = torch.randn(layers, 2, rows, heads, tokens, head_dim, generator=noise)
        token = torch.full((1, 1), number)
        made.append(Reading(KeyValueCache([(keys, values) for keys, values in past]), rows, token, position=1 + number))
    return made


@needs_kernels
@settings(deadline=None, max_examples=15)
@given(requests=st.lists(st.tuples(st.integers(1, 300), st.integers(1, 2)), min_size=1, max_size=10))
def test_it_is_near_torchs_and_leaves_the_same_caches(t3: T3, requests: list[tuple[int, int]]) -> None:
    ours, theirs = readings(t3, requests), readings(t3, requests)
    step = step_of(t3)
    for _ in range(2):  # the second reads what the first has written
        padded = sum(rows for _, rows in requests)
        for found, expected in zip(step(ours), batched_step(t3, theirs, padded), strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    for one, other in zip(ours, theirs, strict=True):
        assert one.cache.length == other.cache.length
        torch.testing.assert_close(one.cache.past(), other.cache.past(), rtol=1e-4, atol=1e-4)


@needs_kernels
@settings(deadline=None, max_examples=15)
@given(
    requests=st.lists(st.tuples(st.integers(1, 80), st.integers(1, 2)), min_size=2, max_size=10),
    threads=st.integers(1, 4),
    who=st.data(),
)
def test_a_requests_bits_are_its_own(t3: T3, requests: list[tuple[int, int]], threads: int, who: st.DataObject) -> None:
    step = step_of(t3)
    one = who.draw(st.integers(0, len(requests) - 1))
    order = who.draw(st.permutations(range(len(requests))))
    (alone,) = step(readings(t3, [requests[one]], [one]))
    with torch_threads(threads):
        together = step(readings(t3, [requests[number] for number in order], order))
    assert torch.equal(together[order.index(one)], alone)


@needs_kernels
def test_the_engine_takes_it(model: ChatterboxTTS) -> None:
    speaking = prepare_decoding(model.t3, 4, torch.float32, pack=True)
    assert isinstance(speaking.step, ChainedStep)
    assert not speaking.plan.like_stock
    assert not speaking.plan.singly


@needs_kernels
def test_two_engines_may_step_at_the_same_time(t3: T3) -> None:
    requests = [(40, 2), (7, 1), (90, 2)]
    expected = torch.cat(step_of(t3)(readings(t3, requests)))

    def speak(_: int) -> bool:
        use_cores(2)
        step = step_of(t3)
        return all(torch.equal(torch.cat(step(readings(t3, requests))), expected) for _ in range(5))

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(speak, range(8)))


@needs_kernels
def test_it_keeps_what_it_reads(model: ChatterboxTTS) -> None:
    own = prepare_decoding(copy.deepcopy(model.t3), 4, torch.float32, pack=True).t3
    step, requests = step_of(own), [(20, 2)]
    expected = torch.cat(step(readings(own, requests)))
    for parameter in own.tfmr.parameters():  # as whoever moves the model elsewhere
        parameter.data = torch.zeros(1)
    torch.randn(10_000_000)
    assert torch.equal(torch.cat(step(readings(own, requests))), expected)


@needs_kernels
def test_what_somebody_has_cast_is_refused(t3: T3) -> None:
    cast = with_private(t3, ["speech_emb", "speech_pos_emb.emb"])
    for embedding in (cast.speech_emb, cast.speech_pos_emb.emb):
        embedding.weight = torch.nn.Parameter(embedding.weight.bfloat16())
    with pytest.raises(ValueError, match=r"embedded tokens of torch.bfloat16 .* expected torch.float32"):
        step_of(cast)(readings(t3, [(5, 2)]))


@needs_kernels
@pytest.mark.parametrize(
    "change",
    ["another norm", "another last norm", "a cast norm", "another activation", "too many rows", "stock's products"],
)
def test_what_is_not_written_down_is_left_to_torch(model: ChatterboxTTS, t3: T3, change: str) -> None:
    changed, rows = with_private(t3, ["tfmr.layers.1.mlp"]), MOST_ROWS
    assert chained_step(changed, rows, lambda rows: rows) is not None
    if change == "another norm":
        changed.tfmr.layers[1].input_layernorm = torch.nn.LayerNorm(changed.dim)
    if change == "another last norm":
        changed.tfmr.norm = torch.nn.LayerNorm(changed.dim)
    if change == "a cast norm":
        norm = copy.deepcopy(changed.tfmr.layers[1].input_layernorm).bfloat16()
        changed.tfmr.layers[1].input_layernorm = norm
    if change == "another activation":
        changed.tfmr.layers[1].mlp.act_fn = torch.nn.GELU()
    if change == "too many rows":
        rows = 129
    if change == "stock's products":
        changed = with_kernels(model.t3, dict.fromkeys(prepare_shapes(model.t3), Kernel.PACKED))
    assert chained_step(changed, rows, lambda rows: rows) is None


def prepare_shapes(t3: T3) -> Iterator[tuple[int, int]]:
    for module in t3.modules():
        if isinstance(module, torch.nn.Linear):
            yield module.in_features, module.out_features


@needs_kernels
def test_bfloat16_and_other_backbones_are_left_to_others(model: ChatterboxTTS) -> None:
    bfloat16 = prepare_decoding(model.t3, 4, torch.bfloat16, pack=True)
    assert chained_step(bfloat16.t3, 8, bfloat16.plan.padded) is None
    turbo = build_chatterbox("turbo").t3
    assert not isinstance(prepare_decoding(turbo, 4, torch.float32, pack=True).step, ChainedStep)


@needs_kernels
def test_without_machine_code_steps_are_torchs(t3: T3, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise OSError("this is not allowed")

    monkeypatch.setattr(_step, "step_rows", refuse)
    assert chained_step(t3, MOST_ROWS, lambda rows: rows) is None
    monkeypatch.undo()
    monkeypatch.setattr(_step, "step_attention", lambda _: None)
    assert chained_step(t3, MOST_ROWS, lambda rows: rows) is None
    assert _step_rows.step_rows() is _step_rows.step_rows()
