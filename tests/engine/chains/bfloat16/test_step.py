"""A bfloat16 step in chains has the bits of a step of torch's operations."""

from __future__ import annotations

import copy
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine._batched_step import Reading, batched_step
from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._projections import StreamedLinear
from stateless_tts.engine._start_up import Speaking, prepare_decoding
from stateless_tts.engine.chains import ChainedStep, TorchStep, torch_step
from stateless_tts.engine.chains.bfloat16 import _rows, _step
from stateless_tts.engine.streamed import Matrices, TorchSums, streamed_product
from stateless_tts.private import with_private
from stateless_tts.synthetic import build_chatterbox
from tests.engine.features import IN_TORCHS_SUMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatterbox.tts import ChatterboxTTS

    from stateless_tts.engine._batched_step import Rows

product = streamed_product(torch.bfloat16)
pytestmark = pytest.mark.skipif(
    product is None or not isinstance(product.arithmetic, Matrices | TorchSums),
    reason="this machine has neither AMX nor a torch without oneDNN for bfloat16",
)
MOST = 20  # of two rows, so that more than one register of AMX is filled


@pytest.fixture(scope="module", params=["as it is", "torch attends"])
def speaking(request: pytest.FixtureRequest, model: ChatterboxTTS) -> Iterator[Speaking]:
    """Return what an engine decodes with, whose steps are chained."""
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "torch attends":
            patch.setattr(_step, "torch_attention", lambda _: None)
        found = prepare_decoding(model.t3, MOST, torch.bfloat16, pack=True)
        assert isinstance(found.step, ChainedStep if IN_TORCHS_SUMS and request.param == "as it is" else TorchStep)
        assert found.plan.like_stock
        yield found


@pytest.fixture
def by_torchs_attention(model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch) -> Speaking:
    monkeypatch.setattr(_step, "torch_attention", lambda _: None)
    return prepare_decoding(model.t3, MOST, torch.bfloat16, pack=True)


class Seen:
    """Keeps what it is shown, by layer, as the multilingual model's analyser is shown it."""

    def __init__(self) -> None:
        self.maps: dict[int, torch.Tensor] = {}

    def see(self, layer: int, weights: torch.Tensor) -> None:
        self.maps[layer] = weights.clone()


def readings(speaking: Speaking, requests: Sequence[tuple[int, int]]) -> list[Reading]:
    t3, made = speaking.t3, []
    heads, head_dim = t3.cfg.num_key_value_heads, t3.tfmr.layers[0].self_attn.head_dim
    for number, (tokens, rows) in enumerate(requests):
        noise = torch.Generator().manual_seed(number)
        past = torch.randn(len(t3.tfmr.layers), 2, rows, heads, tokens, head_dim, generator=noise).bfloat16()
        cache = KeyValueCache([(keys, values) for keys, values in past])
        watch = Seen() if number % 2 and isinstance(speaking.step, TorchStep) else None
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
    with torch_threads(threads):
        for _ in range(2):  # the second reads what the first has written
            found, expected = speaking.step(ours), batched_step(speaking.t3, theirs, padded)
            assert all(map(torch.equal, found, expected))
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(one.watch, Seen) and isinstance(other.watch, Seen):
            assert one.watch.maps.keys() == other.watch.maps.keys() == set(range(len(speaking.t3.tfmr.layers)))
            assert all(torch.equal(one.watch.maps[layer], seen) for layer, seen in other.watch.maps.items())
        assert one.cache.length == other.cache.length
        assert torch.equal(one.cache.past(), other.cache.past())


def test_steps_of_very_many_rows_have_torchs_bits(model: ChatterboxTTS) -> None:
    many = prepare_decoding(model.t3, 36, torch.bfloat16, pack=True)
    assert isinstance(many.step, TorchStep | ChainedStep)
    for count in (2, 36):
        requests = [(10 + number, 2) for number in range(count)]
        found = many.step(readings(many, requests))
        expected = batched_step(many.t3, readings(many, requests), many.plan.padded(2 * count))
        assert all(map(torch.equal, found, expected))


def test_more_rows_than_a_chain_takes_are_torchs(
    by_torchs_attention: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    speaking = by_torchs_attention
    step = torch_step(speaking.t3, 2 * MOST, speaking.plan.padded)
    assert isinstance(step, TorchStep)
    monkeypatch.setattr(step, "_most", 4)
    logits, in_chains = step._logits, []

    def noted(rows: Rows) -> torch.Tensor:
        in_chains.append(len(rows.tokens))
        return logits(rows)

    monkeypatch.setattr(step, "_logits", noted)
    for count in (1, 2, 3):
        requests = [(10 + number, 2) for number in range(count)]
        expected = batched_step(speaking.t3, readings(speaking, requests), speaking.plan.padded(2 * count))
        assert all(map(torch.equal, step(readings(speaking, requests)), expected))
    assert in_chains == [2, 4]


def test_what_somebody_has_cast_is_refused(speaking: Speaking) -> None:
    cast = with_private(speaking.t3, ["speech_emb", "speech_pos_emb.emb"])
    for embedding in (cast.speech_emb, cast.speech_pos_emb.emb):
        embedding.weight = torch.nn.Parameter(embedding.weight.float())
    step = torch_step(cast, 2 * MOST, speaking.plan.padded)
    assert step is not None
    with pytest.raises(ValueError, match=r"embedded tokens of torch.float32 .* expected torch.bfloat16"):
        step(readings(speaking, [(5, 2)]))


@pytest.mark.parametrize("only_many", [False, True])
def test_other_bits_than_torchs_are_not_taken(
    model: ChatterboxTTS, monkeypatch: pytest.MonkeyPatch, *, only_many: bool
) -> None:
    chained = type(prepare_decoding(model.t3, 4, torch.bfloat16, pack=True).step)
    take = chained.__call__

    def other(step: TorchStep | ChainedStep, readings: Sequence[Reading]) -> list[torch.Tensor]:
        found = take(step, readings)
        return found if only_many and len(found) == 1 else [one * 1.01 for one in found]

    monkeypatch.setattr(chained, "__call__", other)
    found = prepare_decoding(model.t3, 4, torch.bfloat16, pack=True)
    assert not isinstance(found.step, chained)
    assert not found.plan.singly  # torch's own steps do not depend on others


def test_a_chain_that_shows_no_attention_is_not_for_a_multilingual_model(speaking: Speaking) -> None:
    multilingual = copy.copy(speaking.t3)  # heads of the tiny one are too narrow for any chain
    multilingual.hp = SimpleNamespace(is_multilingual=True)
    assert isinstance(torch_step(multilingual, 8, speaking.plan.padded), TorchStep)


def test_where_not_all_products_take_so_many_rows_chains_are_of_fewer(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch
) -> None:
    takes = StreamedLinear.takes
    monkeypatch.setattr(StreamedLinear, "takes", lambda linear, rows: rows <= 64 and takes(linear, rows))
    step = torch_step(speaking.t3, 72, lambda rows: rows)
    assert isinstance(step, TorchStep)
    requests = [(5 + number, 2) for number in range(36)]
    for count in (2, 36):
        found, expected = (
            take(readings(speaking, requests[:count]))
            for take in (step, lambda given: batched_step(speaking.t3, given, 2 * len(given)))
        )
        assert all(map(torch.equal, found, expected))


def test_the_least_that_a_cache_may_take_is_tried_with_one_request(model: ChatterboxTTS) -> None:
    found = prepare_decoding(model.t3, 4, torch.bfloat16, pack=True, max_cache_bytes=1)
    assert isinstance(found.step, TorchStep | ChainedStep)


def test_without_wide_vectors_steps_are_torchs(speaking: Speaking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_rows, "cpu_features", dict)
    _rows.torch_rows.cache_clear()
    assert torch_step(speaking.t3, 2 * MOST, speaking.plan.padded) is None
    _rows.torch_rows.cache_clear()


@pytest.mark.parametrize("cause", [RuntimeError, OSError])
def test_without_machine_code_steps_are_torchs(
    speaking: Speaking, monkeypatch: pytest.MonkeyPatch, cause: type[Exception]
) -> None:
    def refuse() -> None:
        raise cause("this is not to be had")

    monkeypatch.setattr(_step, "torch_rows", refuse)
    assert torch_step(speaking.t3, 2 * MOST, speaking.plan.padded) is None


def test_float32_and_turbo_are_left_to_others(model: ChatterboxTTS) -> None:
    float32 = prepare_decoding(model.t3, 4, torch.float32, pack=True)
    assert torch_step(float32.t3, 8, float32.plan.padded) is None
    assert torch_step(build_chatterbox("turbo").t3.bfloat16(), 8, lambda rows: rows) is None
