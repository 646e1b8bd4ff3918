"""The kernel in which the rows of a float32 step attend on a CPU."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from stateless_tts.engine._kv_cache import KeyValueCache
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.chains import StepAttention, step_attention
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from tests.engine.features import FEATURES, KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADS, HEAD_DIM, LAYERS = 3, 32, 2
SCALE = HEAD_DIM**-0.5
needs_avx2 = pytest.mark.skipif(not has_wide_vectors(FEATURES), reason="the kernel is of AVX2")


@pytest.fixture(autouse=True, scope="module", params=KINDS)
def vectors(request: pytest.FixtureRequest) -> Iterator[None]:
    """Translate the kernel for vectors of one kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stateless_tts.engine.chains._step_attention.cpu_features", lambda: KINDS[request.param])
        step_attention.cache_clear()
        yield
    step_attention.cache_clear()


@pytest.fixture
def sought_anew() -> Iterator[None]:
    step_attention.cache_clear()
    yield
    step_attention.cache_clear()


def kernel() -> StepAttention:
    found = step_attention(HEAD_DIM)
    assert found is not None
    return found


class Case:
    """Requests of one or two rows, each with a past of its own; what is drawn depends on the request's number alone."""

    def __init__(self, lengths: Sequence[int], rows: Sequence[int], numbers: Sequence[int] | None = None) -> None:
        self.rows = list(rows)
        self.caches = []
        queries, keys_values = [], []
        for number, length, own in zip(numbers or range(len(lengths)), lengths, rows, strict=True):
            generator = torch.Generator().manual_seed(number)
            past = torch.randn(LAYERS, 2, own, HEADS, length, HEAD_DIM, generator=generator)
            self.caches.append(KeyValueCache([(keys, values) for keys, values in past]))
            queries.append(3 * torch.randn(own, HEADS, 1, HEAD_DIM, generator=generator))
            keys_values.append(torch.randn(2, own, HEADS, 1, HEAD_DIM, generator=generator))
        self.queries, self.keys_values = torch.cat(queries), torch.cat(keys_values, dim=1)

    def attended(self, layer: int, padding: int = 0) -> torch.Tensor:
        for cache in self.caches:
            cache.make_room()
        addresses = torch.cat([torch.from_numpy(cache.addresses()[layer]) for cache in self.caches])
        behind = [own * HEADS * cache.capacity * HEAD_DIM for cache, own in zip(self.caches, self.rows, strict=True)]
        pasts = [
            functional.pad(
                torch.repeat_interleave(torch.tensor(of_requests), torch.tensor(self.rows)), (0, padding), value=-1
            )
            for of_requests in (behind, [c.capacity for c in self.caches], [c.length for c in self.caches])
        ]
        queries = functional.pad(self.queries, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        keys_values = functional.pad(self.keys_values, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        return kernel().attend(queries, keys_values, functional.pad(addresses, (0, padding)), pasts, SCALE)

    def wanted(self, layer: int) -> torch.Tensor:
        """Put the same keys and values into the caches, and attend in float64."""
        found, begin = [], 0
        for cache, own in zip(self.caches, self.rows, strict=True):
            cache.reserve()
            keys, values = cache.put(layer, self.keys_values[:, begin : begin + own])
            query = self.queries[begin : begin + own].double()
            found.append(functional.scaled_dot_product_attention(query, keys.double(), values.double(), scale=SCALE))
            begin += own
        return torch.cat(found).float()


@needs_avx2
@settings(max_examples=30, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=5),
    padding=st.integers(0, 3),
)
def test_rows_attend_as_in_float64(requests: list[tuple[int, int]], padding: int) -> None:
    case = Case(*zip(*requests, strict=True))
    found = case.attended(1, padding)
    rows = len(case.queries)
    torch.testing.assert_close(found[:rows], case.wanted(1), atol=3e-6, rtol=1e-5)
    assert torch.equal(found[rows:], torch.zeros(padding, HEADS, 1, HEAD_DIM))


@needs_avx2
def test_the_new_token_and_nothing_else_is_written() -> None:
    case, untouched = (Case([31, 7, 64], [2, 1, 2]) for _ in range(2))
    case.attended(0)
    untouched.wanted(0)
    for cache, other in zip(case.caches, untouched.caches, strict=True):
        length = cache.length + 1
        for ours, theirs in zip(cache._buffers, other._buffers, strict=True):
            assert torch.equal(ours[0, ..., :length, :], theirs[0, ..., :length, :])
            assert torch.equal(ours[1, ..., : length - 1, :], theirs[1, ..., : length - 1, :])


@needs_avx2
def test_a_rows_bits_are_its_own() -> None:
    lengths, rows = [40, 3, 77, 16], [2, 2, 1, 2]
    together = Case(lengths, rows).attended(0)
    backwards = Case(lengths[::-1], rows[::-1], [3, 2, 1, 0]).attended(0, padding=2)
    first = Case(lengths[:1], rows[:1]).attended(0)
    assert torch.equal(together[:2], first)
    assert torch.equal(backwards[5:7], first)
    assert torch.equal(backwards[:2], together[5:7])
    with ThreadPoolExecutor(1, initializer=use_cores, initargs=(3,)) as three:
        assert torch.equal(three.submit(lambda: Case(lengths, rows).attended(0)).result(), together)


@needs_avx2
def test_scores_far_apart_and_what_is_no_number() -> None:
    case = Case([20], [1])
    case.queries *= 1e4
    torch.testing.assert_close(case.attended(0), case.wanted(0), atol=3e-5, rtol=1e-4)
    case.queries[0, 1] = float("nan")
    found = case.attended(0)
    assert found[0, 1].isnan().all()
    assert not found[0, 0].isnan().any()


@needs_avx2
def test_other_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="head_dim=24: expected a multiple of 16"):
        StepAttention(24, FEATURES)
    assert step_attention(24) is None
    queries = torch.zeros(1, HEADS, 1, HEAD_DIM, dtype=torch.bfloat16)
    nothing = torch.zeros(1, dtype=torch.long)
    with pytest.raises(ValueError, match=r"heads of torch\.bfloat16"):
        kernel().attend(queries, torch.stack((queries, queries)), nothing, [nothing] * 3, SCALE)


@pytest.mark.usefixtures("sought_anew", "no_machine_code")
def test_without_machine_code_there_is_none() -> None:
    assert step_attention(HEAD_DIM) is None
