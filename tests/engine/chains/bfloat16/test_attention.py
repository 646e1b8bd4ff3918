"""The kernel in which the rows of a bfloat16 step attend has torch's bits."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stateless_tts.engine._onednn import has_onednn_bfloat16
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.chains.bfloat16 import _attention
from stateless_tts.engine.chains.bfloat16._attention import TorchAttention, torch_attention
from stateless_tts.engine.machine_code._translation import cpu_features, openmp
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from tests.engine.chains.step_case import Case

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from stateless_tts.engine.machine_code._function import Function

needs_kernel = pytest.mark.skipif(
    has_onednn_bfloat16() or not has_wide_vectors(cpu_features()) or openmp() is None,
    reason="torch adds up otherwise where it has oneDNN for bfloat16; the kernel is of AVX2, in torch's OpenMP",
)
BFLOAT16 = torch.bfloat16


@pytest.fixture
def sought_anew() -> Iterator[None]:
    torch_attention.cache_clear()
    yield
    torch_attention.cache_clear()


def kernel(head_dim: int = 64) -> TorchAttention:
    found = torch_attention(head_dim)
    assert found is not None
    return found


def in_threads(threads: int, attend: Callable[[], torch.Tensor]) -> torch.Tensor:
    with ThreadPoolExecutor(1, initializer=use_cores, initargs=(threads,)) as others:
        return others.submit(attend).result()


@needs_kernel
@settings(max_examples=60, deadline=None)
@given(
    requests=st.lists(st.tuples(st.integers(1, 90), st.integers(1, 2)), min_size=1, max_size=5),
    head_dim=st.sampled_from([32, 64, 96, 128]),
    queries=st.sampled_from([0.0, 0.3, 1.0, 10.0, 300.0]),
    padding=st.integers(0, 3),
    threads=st.integers(1, 3),
)
def test_rows_attend_with_torchs_bits(
    requests: list[tuple[int, int]], head_dim: int, queries: float, padding: int, threads: int
) -> None:
    case, other = (Case(requests, head_dim, BFLOAT16, queries=queries, cancelling=True) for _ in range(2))
    found = in_threads(threads, lambda: case.attended(kernel(head_dim), padding=padding))
    rows = len(case.queries)
    assert torch.equal(found[:rows], in_threads(threads, other.by_torch))
    assert not found[rows:].any()
    assert case.has_written_as(other)


@needs_kernel
@settings(max_examples=25, deadline=None)
@given(tokens=st.integers(90, 1600), queries=st.sampled_from([0.0, 0.3, 1.0]), threads=st.integers(1, 3))
def test_long_pasts_have_torchs_bits(tokens: int, queries: float, threads: int) -> None:
    case = Case([(tokens, 2)], 64, BFLOAT16, queries=queries, cancelling=True)
    found = in_threads(threads, lambda: case.attended(kernel()))
    assert torch.equal(found, in_threads(threads, case.by_torch))


@needs_kernel
def test_a_rows_bits_are_its_own() -> None:
    requests = [(40, 2), (3, 2), (77, 1), (16, 2)]
    together = Case(requests, 64, BFLOAT16, cancelling=True).attended(kernel())
    assert torch.equal(together[:2], Case(requests[:1], 64, BFLOAT16, cancelling=True).attended(kernel()))


@needs_kernel
def test_what_is_no_number_stays_none() -> None:
    case = Case([(20, 1)], 64, BFLOAT16)
    case.queries[0, 1] = float("nan")
    found = case.attended(kernel())
    assert found[0, 1].isnan().all()
    assert torch.equal(found[0, 0], case.by_torch()[0, 0])


def test_other_heads_are_refused() -> None:
    assert torch_attention(24) is None


def neighbours_added(code: Function, vector: str, lanes: int) -> str:
    """Return the sum of a vector's numbers, one after the other, in place of halves."""
    total = code.let(f"extractelement <{lanes} x float> {vector}, i32 0")
    for lane in range(1, lanes):
        other = code.let(f"extractelement <{lanes} x float> {vector}, i32 {lane}")
        total = code.let(f"fadd float {total}, {other}")
    return total


def last_forwards(code: Function, sums: Sequence[str], values: str, tokens: str, weights: str) -> list[str]:
    """Add the fours as they are added, and the last ones from the first on, in place of the other way."""
    fours = code.times(code.over(tokens, 4), 4)
    found = as_it_is(code, sums, values, fours, weights)
    for place in range(3):  # one by one: of one number, both ways are the same
        there = code.least(code.minus(tokens, code.plus(fours, place)), 1)
        count = code.let(f"call i64 @llvm.smax.i64(i64 {there}, i64 0)")
        at = code.times(code.plus(fours, place), len(sums) * 16)
        weight = code.after(weights, code.times(code.plus(fours, place), 4))
        found = as_it_is(code, found, code.after(values, at), count, weight)
    return found


as_it_is = _attention._weighted


@needs_kernel
@pytest.mark.usefixtures("sought_anew")
@pytest.mark.parametrize(
    ("part", "other"), [("_halves_added", neighbours_added), ("_weighted", last_forwards)], ids=["halves", "last ones"]
)
def test_another_order_of_addition_is_not_taken(
    monkeypatch: pytest.MonkeyPatch, part: str, other: Callable[..., object]
) -> None:
    monkeypatch.setattr(_attention, part, other)
    monkeypatch.setattr(
        _attention, "_DECLARATIONS", _attention._DECLARATIONS + "declare i64 @llvm.smax.i64(i64, i64)\n"
    )
    assert torch_attention(64) is None


@needs_kernel
@pytest.mark.usefixtures("sought_anew")
def test_where_torch_has_onednn_it_is_not_even_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_attention, "has_onednn_bfloat16", lambda: True)
    assert torch_attention(64) is None


@pytest.mark.usefixtures("sought_anew", "no_machine_code")
def test_without_machine_code_there_is_none() -> None:
    assert torch_attention(64) is None
