"""The kernel in which the rows of a bfloat16 step attend has torch's bits."""

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
from stateless_tts.engine.chains.bfloat16 import _attention
from stateless_tts.engine.chains.bfloat16._attention import TorchAttention, torch_attention

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

HEADS = 3
needs_kernel = pytest.mark.skipif(
    torch_attention(64) is None, reason="torch adds up otherwise here: it has oneDNN for bfloat16, or no AVX2"
)


class Case:
    """Requests of one or two rows, each with a past of its own; what is drawn depends on the request's number alone."""

    def __init__(self, requests: Sequence[tuple[int, int]], head_dim: int = 64, spread: float = 1.0) -> None:
        self.head_dim = head_dim
        self.rows = [rows for _, rows in requests]
        self.caches = []
        queries, keys_values = [], []
        for number, (tokens, rows) in enumerate(requests):
            noise = torch.Generator().manual_seed(number)
            past = torch.randn(2, rows, HEADS, tokens, head_dim, generator=noise)
            new = torch.randn(2, rows, HEADS, 1, head_dim, generator=noise)
            # Values nearly cancel each other: what is left shows in which order they have been added up.
            past[1] *= torch.exp2(2 * torch.randn(past[1].shape, generator=noise))
            new[1] = -past[1].sum(dim=-2, keepdim=True)
            self.caches.append(KeyValueCache([(past[0].bfloat16(), past[1].bfloat16())]))
            queries.append((spread * torch.randn(rows, HEADS, 1, head_dim, generator=noise)).bfloat16())
            keys_values.append(new.bfloat16())
        self.queries, self.keys_values = torch.cat(queries), torch.cat(keys_values, dim=1)

    def attended(self, padding: int = 0) -> torch.Tensor:
        kernel = torch_attention(self.head_dim)
        assert kernel is not None
        for cache in self.caches:
            cache.make_room()
        addresses = torch.cat([torch.from_numpy(cache.addresses()[0]) for cache in self.caches])
        room = HEADS * self.head_dim
        behind = [rows * room * cache.capacity for cache, rows in zip(self.caches, self.rows, strict=True)]
        pasts = [
            functional.pad(torch.repeat_interleave(torch.tensor(one), torch.tensor(self.rows)), (0, padding), value=-1)
            for one in (behind, [c.capacity for c in self.caches], [c.length for c in self.caches])
        ]
        queries = functional.pad(self.queries, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        keys_values = functional.pad(self.keys_values, (0, 0, 0, 0, 0, 0, 0, padding), value=5.0)
        places = functional.pad(addresses, (0, padding))
        return kernel.attend(queries, keys_values, places, pasts, self.head_dim**-0.5)

    def torchs(self) -> torch.Tensor:
        found, begin = [], 0
        for cache, rows in zip(self.caches, self.rows, strict=True):
            cache.reserve()
            keys, values = cache.put(0, self.keys_values[:, begin : begin + rows])
            own = self.queries[begin : begin + rows]
            found.append(functional.scaled_dot_product_attention(own, keys, values, scale=self.head_dim**-0.5))
            begin += rows
        return torch.cat(found)


@needs_kernel
@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=5),
    head_dim=st.sampled_from([32, 64, 96, 128]),
    spread=st.sampled_from([0.0, 0.3, 1.0, 10.0, 300.0]),
    padding=st.integers(0, 3),
)
def test_rows_attend_with_torchs_bits(
    requests: list[tuple[int, int]], head_dim: int, spread: float, padding: int
) -> None:
    case = Case(requests, head_dim, spread)
    found = case.attended(padding)
    rows = len(case.queries)
    assert torch.equal(found[:rows], case.torchs())
    assert not found[rows:].any()
    for ours, theirs in zip(case.caches, Case(requests, head_dim, spread).caches, strict=True):
        assert torch.equal(
            ours._buffers[0][..., : ours.length, :], theirs._buffers[0][..., : theirs.length, :]
        )  # only the new token is written


@needs_kernel
@settings(max_examples=15, deadline=None)
@given(tokens=st.integers(490, 1600), spread=st.sampled_from([0.0, 0.3, 1.0]))
def test_long_pasts_have_torchs_bits(tokens: int, spread: float) -> None:
    case = Case([(tokens, 2)], spread=spread)
    assert torch.equal(case.attended(), case.torchs())


@needs_kernel
def test_a_rows_bits_are_its_own() -> None:
    requests = [(40, 2), (3, 2), (77, 1), (16, 2)]
    together = Case(requests).attended()
    assert torch.equal(together[:2], Case(requests[:1]).attended())
    with ThreadPoolExecutor(1, initializer=use_cores, initargs=(3,)) as three:
        assert torch.equal(three.submit(lambda: Case(requests).attended()).result(), together)


@needs_kernel
def test_what_is_no_number_stays_none() -> None:
    case = Case([(20, 1)])
    case.queries[0, 1] = float("nan")
    found = case.attended()
    assert found[0, 1].isnan().all()
    assert torch.equal(found[0, 0], case.torchs()[0, 0])


def test_other_heads_are_refused() -> None:
    assert torch_attention(24) is None


@pytest.fixture
def sought_anew() -> Iterator[None]:
    torch_attention.cache_clear()
    yield
    torch_attention.cache_clear()


@needs_kernel
@pytest.mark.usefixtures("sought_anew")
def test_one_that_has_other_bits_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    attend = TorchAttention.attend

    def other(kernel: TorchAttention, queries: torch.Tensor, *given: object) -> torch.Tensor:
        found = attend(kernel, queries, *given)  # type: ignore[arg-type] # handed on
        found[-1, -1, -1, -1] *= 1.01
        return found

    monkeypatch.setattr(TorchAttention, "attend", other)
    assert torch_attention(64) is None


@needs_kernel
@pytest.mark.usefixtures("sought_anew")
def test_where_torch_has_onednn_it_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_attention, "has_onednn_bfloat16", lambda: True)
    assert torch_attention(64) is None


@pytest.mark.usefixtures("sought_anew", "no_machine_code")
def test_without_machine_code_there_is_none() -> None:
    assert torch_attention(64) is None
