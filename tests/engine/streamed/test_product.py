"""The streamed product is a dense layer, and a row's bits are that row's alone."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import llvmlite.binding as llvm
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.run.torch_threads import torch_threads
from stateless_tts.engine import can_pack
from stateless_tts.engine._own_cores import use_cores
from stateless_tts.engine.machine_code._translation import openmp
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from stateless_tts.engine.streamed import StreamedProduct, _torch_sums, streamed_product
from stateless_tts.engine.streamed._matrices import Matrices
from stateless_tts.engine.streamed._torch_sums import TorchSums
from stateless_tts.engine.streamed._vectors import Vectors
from tests.engine.features import FEATURES, WITHOUT_AVX512

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ARITHMETIC = {
    "AVX-512": (Vectors.of(FEATURES, torch.float32) if FEATURES.get("avx512f") else None, FEATURES),
    "AVX2": (Vectors.of(WITHOUT_AVX512, torch.float32), WITHOUT_AVX512),
    "AVX512_BF16": (Vectors.of(FEATURES, torch.bfloat16), FEATURES),
    "bfloat16 as torch": (TorchSums() if has_wide_vectors(FEATURES) else None, FEATURES),
    "AMX": (Matrices.of(FEATURES, torch.bfloat16), FEATURES),
}
UNITS = 64  # the depth of a weight that every arithmetic takes is a multiple
LAYOUTS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "contiguous": lambda tensor: tensor,
    "transposed": lambda tensor: tensor.t().contiguous().t(),
    "every second column": lambda tensor: tensor.repeat_interleave(2, dim=1)[:, ::2],
}


@pytest.fixture(scope="module", params=ARITHMETIC)
def product(request: pytest.FixtureRequest) -> StreamedProduct:
    arithmetic, features = ARITHMETIC[request.param]
    if arithmetic is None or openmp() is None:
        pytest.skip(f"this machine has no {request.param}, or torch no OpenMP of GNU's")
    return StreamedProduct(arithmetic, features)


@pytest.fixture
def product_is_sought_anew() -> Iterator[None]:
    streamed_product.cache_clear()
    yield
    streamed_product.cache_clear()


def make(product: StreamedProduct, rows: int, depth: int, outputs: int = 96) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows * depth + outputs)
    numbers, weight = torch.randn(rows, depth, generator=generator), torch.randn(outputs, depth, generator=generator)
    return numbers.to(product.arithmetic.dtype), weight.to(product.arithmetic.dtype)


def multiply(product: StreamedProduct, rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return product.multiply(rows, product.pack(weight), product.arithmetic.sums_of[-1])


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 250), depth=st.integers(1, 35), strips=st.integers(1, 9), data=st.data())
def test_it_is_the_product(product: StreamedProduct, rows: int, depth: int, strips: int, data: st.DataObject) -> None:
    numbers, weight = make(product, rows, UNITS * depth, 32 * strips)
    sums_of = data.draw(st.sampled_from(product.arithmetic.sums_of))
    result = product.multiply(numbers, product.pack(weight), sums_of)
    expected = numbers.double() @ weight.double().T
    assert result.dtype is product.arithmetic.dtype
    rounding = expected.abs() * torch.finfo(result.dtype).eps
    assert ((result - expected).abs() <= rounding + 1e-5 * (UNITS * depth) ** 0.5).all()


@pytest.mark.parametrize("depth", [1, 3, 255, 257, 511])
def test_float32_has_any_depth(product: StreamedProduct, depth: int) -> None:
    if product.arithmetic.dtype is not torch.float32:
        assert not product.takes(96, depth)
        return
    numbers, weight = make(product, 14, depth)
    torch.testing.assert_close(multiply(product, numbers, weight), numbers @ weight.T, atol=1e-4, rtol=1e-4)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(2, 120), depth=st.integers(1, 35), threads=st.integers(1, 3), data=st.data())
def test_a_rows_bits_are_its_own(
    product: StreamedProduct, rows: int, depth: int, threads: int, data: st.DataObject
) -> None:
    numbers, weight = make(product, rows, UNITS * depth)
    packed = product.pack(weight)
    own = data.draw(st.integers(0, rows - 1))
    sums_of = data.draw(st.sampled_from(product.arithmetic.sums_of))
    alone = product.multiply(numbers[own : own + 1], packed, sums_of)
    numbers[:own] *= 3
    with torch_threads(threads):
        among_others = product.multiply(numbers, packed, sums_of)[own : own + 1]
    assert torch.equal(alone, among_others)


@pytest.mark.parametrize(("depth", "outputs"), [(1024, 256), (1024, 1024), (4096, 256)])
@pytest.mark.parametrize("rows", [2, 8, 32])
@pytest.mark.parametrize("with_bias", [False, True])
def test_bfloat16_can_have_stocks_bits(depth: int, outputs: int, rows: int, with_bias: bool) -> None:
    product = streamed_product(torch.bfloat16)
    if product is None:
        pytest.skip("this machine has no streamed product of bfloat16")
    numbers, weight = make(product, rows, depth, outputs)
    bias = weight[:, 0].clone() if with_bias else None
    stock = torch.nn.functional.linear(numbers, weight, bias)
    packed = product.pack(weight)
    found = any(
        torch.equal(product.multiply(numbers, packed, sums, bias), stock) for sums in product.arithmetic.sums_of
    )
    # With AMX and this depth oneDNN has nothing to choose; nor has torch where it multiplies itself. Else it goes by
    # the size of caches, too, and an engine by what it finds when it starts.
    of_one_way = (isinstance(product.arithmetic, Matrices) and depth == 1024) or not can_pack(
        torch.device("cpu"), torch.bfloat16
    )
    if not found and not of_one_way:
        pytest.skip("oneDNN adds up in another order on this CPU: engines keep to its own products")
    assert found


@pytest.mark.parametrize("of_rows", LAYOUTS)
@pytest.mark.parametrize("of_weight", LAYOUTS)
def test_tensors_may_lie_anyhow(product: StreamedProduct, of_rows: str, of_weight: str) -> None:
    numbers, weight = make(product, 20, 320)
    expected = multiply(product, numbers, weight)
    assert torch.equal(multiply(product, LAYOUTS[of_rows](numbers), LAYOUTS[of_weight](weight)), expected)
    with torch.inference_mode():
        made_here = numbers.clone()
    assert torch.equal(multiply(product, made_here, weight), expected)
    assert torch.equal(multiply(product, numbers[:1].expand(20, -1), weight), expected[:1].expand(20, -1))


def test_callers_share_a_weight(product: StreamedProduct) -> None:
    numbers, weight = make(product, 24, 640, 256)
    packed = product.pack(weight)
    sums_of = product.arithmetic.sums_of[0]
    expected = product.multiply(numbers, packed, sums_of)

    def call(_: int) -> torch.Tensor:
        use_cores(2)
        return product.multiply(numbers, packed, sums_of)

    with ThreadPoolExecutor(8) as callers:
        results = list(callers.map(call, range(64)))
    assert all(torch.equal(result, expected) for result in results)
    assert torch.equal(packed, product.pack(weight))


@pytest.mark.parametrize("depth", [64, 256, 320, 1024])
def test_what_memory_held_before_does_not_matter(product: StreamedProduct, depth: int) -> None:
    numbers, weight = make(product, 5, depth)
    packed = product.pack(weight)
    torch.use_deterministic_algorithms(mode=True)  # fills memory that is not written yet with NaN
    try:
        assert torch.empty(1).isnan().all()
        result = product.multiply(numbers, packed, product.arithmetic.sums_of[-1])
    finally:
        torch.use_deterministic_algorithms(mode=False)
    assert torch.isfinite(result).all()


def test_what_is_not_finite_stays_in_its_row(product: StreamedProduct) -> None:
    numbers, weight = make(product, 4, 320)
    numbers[1, 7] = float("inf")
    numbers[2, 7] = float("nan")
    finite = torch.isfinite(multiply(product, numbers, weight)).all(dim=1)
    assert finite.tolist() == [True, False, False, True]


def test_no_rows_give_no_rows(product: StreamedProduct) -> None:
    numbers, weight = make(product, 0, 64)
    assert multiply(product, numbers, weight).shape == (0, 96)


def test_rows_that_do_not_fit_are_refused(product: StreamedProduct) -> None:
    numbers, weight = make(product, 2, 64)
    for wrong in (numbers[:, :32], numbers[0], numbers.double()):
        with pytest.raises(ValueError, match=r"expected torch\..* and \(rows, 64\)"):
            multiply(product, wrong, weight)
    with pytest.raises(ValueError, match="expected both on the CPU"):
        multiply(product, numbers.to("meta"), weight)


def test_a_weight_that_is_not_in_strips_is_refused(product: StreamedProduct) -> None:
    numbers, weight = make(product, 2, 64)
    packed = product.pack(weight)
    other = Vectors(product.arithmetic.dtype, lanes=8 if product.arithmetic.outputs > 16 else 16, rows=6)
    if isinstance(product.arithmetic, Matrices):
        other = Vectors(torch.bfloat16, lanes=16, rows=12)
    for wrong in (weight, packed.double(), packed.transpose(0, 1), other.in_strips(weight).contiguous()):
        with pytest.raises(ValueError, match="expected what `pack` returned"):
            product.multiply(numbers, wrong, product.arithmetic.sums_of[0])


def test_sums_that_are_none_of_the_arithmetics_are_refused(product: StreamedProduct) -> None:
    numbers, weight = make(product, 2, 64)
    with pytest.raises(ValueError, match="sums_of=1: expected one of"):
        product.multiply(numbers, product.pack(weight), 1)


def test_without_leave_there_is_no_amx(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: False)
    assert Matrices.of({"amx-bf16": True}, torch.bfloat16) is None
    monkeypatch.setattr(torch.cpu, "_init_amx", lambda: True)
    assert Matrices.of({"amx-bf16": True}, torch.bfloat16) is not None
    assert Matrices.of({"amx-bf16": True}, torch.float32) is None


def test_outputs_have_to_fill_strips(product: StreamedProduct) -> None:
    assert product.takes(4096, 1024)
    assert product.takes(8194, 1024) is product.arithmetic.fills_up


@pytest.mark.parametrize("outputs", [1, 15, 16, 50])
@pytest.mark.parametrize("rows", [0, 1, 5])
def test_some_fill_strips_up(product: StreamedProduct, outputs: int, rows: int) -> None:
    if not product.arithmetic.fills_up:
        pytest.skip("outputs have to fill whole strips")
    numbers, weight = make(product, rows, 128, outputs)
    bias = weight[:, 0].clone()
    packed = product.pack(weight)
    result = product.multiply(numbers, packed, 0, bias, outputs)
    exact = numbers.double() @ weight.double().T + bias.double()
    assert result.shape == exact.shape
    torch.testing.assert_close(result.double(), exact, rtol=1e-2, atol=1e-2)


def of_torch(rows: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Add up as torch does on a CPU with AVX2 alone: 64 sums, of which halves are added up."""
    sums = torch.zeros(64, len(rows), len(weight))
    for numbers, weights in zip(*(torch.split(one.float(), 64, dim=1) for one in (rows, weight)), strict=True):
        sums += numbers.t()[:, :, None] * weights.t()[:, None, :]  # products are exact
    while len(sums) > 1:
        first, second = sums.chunk(2)
        sums = first + second
    return sums[0].bfloat16()


@cache
def as_torch() -> StreamedProduct:
    arithmetic, features = ARITHMETIC["bfloat16 as torch"]
    if arithmetic is None or openmp() is None:
        pytest.skip("this machine has no AVX2, or torch no OpenMP of GNU's")
    return StreamedProduct(arithmetic, features)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 40), sixtyfours=st.integers(1, 9), outputs=st.integers(1, 70), threads=st.integers(1, 3))
def test_it_adds_up_as_torch_does(rows: int, sixtyfours: int, outputs: int, threads: int) -> None:
    product = as_torch()
    numbers, weight = make(product, rows, 64 * sixtyfours, outputs)
    with torch_threads(threads):
        found = product.multiply(numbers, product.pack(weight), 0, outputs=outputs)
    assert torch.equal(found, of_torch(numbers, weight))


def test_it_is_for_cpus_whose_torch_multiplies_bfloat16_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    avx2 = {"avx2": True, "fma": True}
    monkeypatch.setattr(_torch_sums, "has_onednn_bfloat16", lambda: False)
    assert TorchSums.of(avx2, torch.bfloat16) is not None
    assert TorchSums.of(avx2, torch.float32) is None
    assert TorchSums.of({"avx2": True}, torch.bfloat16) is None
    monkeypatch.setattr(_torch_sums, "has_onednn_bfloat16", lambda: True)
    assert TorchSums.of(avx2, torch.bfloat16) is None


def test_other_outputs_than_there_are_are_refused(product: StreamedProduct) -> None:
    numbers, weight = make(product, 2, 64, 96)
    most = 96
    least = most + 1 - product.arithmetic.outputs if product.arithmetic.fills_up else most
    for wrong in (least - 1, most + 1, -1, 0):
        with pytest.raises(ValueError, match=f"outputs={wrong}: expected {least} to {most}"):
            product.multiply(numbers, product.pack(weight), product.arithmetic.sums_of[0], outputs=wrong)


def test_a_copy_multiplies_as_well(product: StreamedProduct) -> None:
    numbers, weight = make(product, 4, 64)
    assert torch.equal(multiply(copy.deepcopy(product), numbers, weight), multiply(product, numbers, weight))


@pytest.mark.usefixtures("product_is_sought_anew")
def test_without_vectors_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(llvm, "get_host_cpu_features", lambda: {"sse2": True})
    assert streamed_product(torch.float32) is None
    assert streamed_product(torch.bfloat16) is None


@pytest.mark.usefixtures("product_is_sought_anew", "no_machine_code")
def test_without_machine_code_there_is_none() -> None:
    assert streamed_product(torch.float32) is None
    assert streamed_product(torch.bfloat16) is None
