"""The streamed product is a dense layer, and a row's bits are that row's alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import llvmlite.binding as llvm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stateless_tts.engine import _streamed_product
from stateless_tts.engine._streamed_product import StreamedProduct, streamed_product

FEATURES = dict(llvm.get_host_cpu_features())
WITHOUT_AVX512 = {name: on and not name.startswith("avx512") for name, on in FEATURES.items()}
pytestmark = pytest.mark.skipif(streamed_product() is None, reason="this CPU or build of torch has no streamed product")


@pytest.fixture(scope="module", params=["as it is", "without AVX-512"])
def product(request: pytest.FixtureRequest) -> StreamedProduct:
    return StreamedProduct(FEATURES if request.param == "as it is" else WITHOUT_AVX512)


def make(rows: int, depth: int, outputs: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows * depth + outputs)
    return torch.randn(rows, depth, generator=generator), torch.randn(outputs, depth, generator=generator)


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(1, 60), depth=st.integers(1, 1100), strips=st.integers(1, 9))
def test_it_is_the_product(product: StreamedProduct, rows: int, depth: int, strips: int) -> None:
    numbers, weight = make(rows, depth, 32 * strips)
    expected = numbers.double() @ weight.double().T
    error = (product.multiply(numbers, product.pack(weight)) - expected).abs().max()
    assert error < 1e-5 * depth**0.5 + 1e-5


@settings(deadline=None, max_examples=40)
@given(rows=st.integers(2, 60), depth=st.integers(1, 1100), threads=st.integers(1, 3), data=st.data())
def test_a_rows_bits_are_its_own(
    product: StreamedProduct, rows: int, depth: int, threads: int, data: st.DataObject
) -> None:
    numbers, weight = make(rows, depth, 96)
    packed = product.pack(weight)
    own = data.draw(st.integers(0, rows - 1))
    alone = product.multiply(numbers[own : own + 1], packed)
    numbers[:own] *= 3
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        among_others = product.multiply(numbers, packed)[own : own + 1]
    finally:
        torch.set_num_threads(before)
    assert torch.equal(alone, among_others)


def test_callers_share_a_weight(product: StreamedProduct) -> None:
    numbers, weight = make(24, 600, 256)
    packed = product.pack(weight)
    expected = product.multiply(numbers, packed)
    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(lambda _: product.multiply(numbers, packed), range(64)))
    assert all(torch.equal(result, expected) for result in results)
    assert torch.equal(packed, product.pack(weight))


@pytest.mark.parametrize("depth", [3, 256, 257, 1024])
def test_what_memory_held_before_does_not_matter(product: StreamedProduct, depth: int) -> None:
    numbers, weight = make(5, depth, 64)
    packed = product.pack(weight)
    torch.use_deterministic_algorithms(mode=True)  # fills memory that is not written yet with NaN
    try:
        assert torch.empty(1).isnan().all()
        result = product.multiply(numbers, packed)
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert torch.isfinite(result).all()


def test_what_is_not_finite_stays_in_its_row(product: StreamedProduct) -> None:
    numbers, weight = make(4, 300, 64)
    numbers[1, 7] = float("inf")
    numbers[2, 7] = float("nan")
    finite = torch.isfinite(product.multiply(numbers, product.pack(weight))).all(dim=1)
    assert finite.tolist() == [True, False, False, True]


def test_no_rows_give_no_rows(product: StreamedProduct) -> None:
    _, weight = make(1, 8, 64)
    assert product.multiply(torch.empty(0, 8), product.pack(weight)).shape == (0, 64)


@pytest.mark.parametrize("rows", [torch.zeros(2, 9), torch.zeros(8), torch.zeros(2, 8, dtype=torch.float64)])
def test_rows_that_do_not_fit_are_refused(product: StreamedProduct, rows: torch.Tensor) -> None:
    _, weight = make(1, 8, 64)
    with pytest.raises(ValueError, match=r"expected float32 and \(rows, 8\)"):
        product.multiply(rows, product.pack(weight))


def test_outputs_have_to_fill_strips(product: StreamedProduct) -> None:
    assert product.takes(4096)
    assert not product.takes(8194)


def test_a_cpu_without_vectors_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="AVX2"):
        StreamedProduct({"sse2": True})
    monkeypatch.setattr(_streamed_product, "_openmp", lambda: None)
    streamed_product.cache_clear()
    try:
        assert streamed_product() is None
    finally:
        streamed_product.cache_clear()
