"""The kernels between a bfloat16 step's products have torch's bits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from stateless_tts.engine.chains.bfloat16._rows import TorchRows, torch_rows
from stateless_tts.engine.machine_code._chain import Call, Chain, Told
from stateless_tts.engine.machine_code._translation import cpu_features, openmp
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from stateless_tts.engine.streamed import TorchSums

pytestmark = [
    pytest.mark.skipif(openmp() is None, reason="torch has no OpenMP of GNU's here"),
    pytest.mark.skipif(not has_wide_vectors(cpu_features()), reason="the kernels are of AVX2"),
]
RESULT = Told("result")
SMALLEST = 2.0**-126  # of less the CPU's conversion, if it has one, makes zeros, as its products do


@pytest.fixture(scope="module", params=["as it is", "without instructions for bfloat16"])
def kernels(request: pytest.FixtureRequest) -> TorchRows:
    if request.param == "as it is":
        found = torch_rows()
        assert found is not None
        return found
    return TorchRows({**cpu_features(), "avx512bf16": False})


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


def run(call: Call, threads: int, rows: int, **given: torch.Tensor) -> None:
    Chain([call]).run(threads, rows=rows, **{name: tensor.data_ptr() for name, tensor in given.items()})


@settings(deadline=None, max_examples=40)
@given(
    rows=st.integers(1, 40),
    width=st.sampled_from([512, 1024, 1536, 4096]),
    threads=st.integers(1, 3),
    scale=st.sampled_from([1e-3, 1.0, 300.0]),
)
def test_norms_have_torchs_bits(kernels: TorchRows, rows: int, width: int, threads: int, scale: float) -> None:
    assert kernels.takes(width)
    norm = LlamaRMSNorm(width, eps=1e-5).requires_grad_(requires_grad=False).bfloat16()
    norm.weight.copy_(noise(width))
    hidden, sums = (noise(rows, width) * scale).bfloat16(), noise(rows, width, seed=1) * scale
    before, result = hidden.clone(), torch.empty_like(hidden)
    call = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, RESULT, None)
    run(call, threads, rows, hidden=hidden, result=result)
    assert torch.equal(result, norm(hidden))
    assert torch.equal(hidden, before)
    call = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, RESULT, Told("sums"))
    run(call, threads, rows, hidden=hidden, result=result, sums=sums)
    assert torch.equal(hidden, before + sums.bfloat16())
    assert torch.equal(result, norm(hidden))


def test_of_many_norms_none_has_other_bits(kernels: TorchRows) -> None:
    # Added up in another order, a sum would be another one for half of the rows, and show in a few numbers of millions.
    norm = LlamaRMSNorm(1024, eps=1e-5).requires_grad_(requires_grad=False).bfloat16()
    hidden = (noise(6000, 1024) * 3).bfloat16()
    result = torch.empty_like(hidden)
    call = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, RESULT, None)
    run(call, 2, len(hidden), hidden=hidden, result=result)
    assert torch.equal(result, norm(hidden))


def test_norms_are_of_whole_rows_that_torch_adds_up_so(kernels: TorchRows) -> None:
    assert not kernels.takes(1000)
    assert not kernels.takes(256)
    assert not kernels.takes(8192)


@settings(deadline=None, max_examples=30)
@given(rows=st.integers(1, 20), vectors=st.integers(1, 20), threads=st.integers(1, 3))
def test_gates_have_torchs_bits(kernels: TorchRows, rows: int, vectors: int, threads: int) -> None:
    width = 16 * vectors
    sums, factors = noise(rows, width) * 30, noise(rows, width, seed=1)
    result = torch.empty(rows, width, dtype=torch.bfloat16)
    call = kernels.gate(Told("sums"), Told("factors"), width, RESULT)
    run(call, threads, rows, sums=sums, factors=factors, result=result)
    # In whole vectors: torch computes the last few numbers otherwise.
    expected = functional.silu(sums.bfloat16()) * factors.bfloat16()
    small = expected.float().abs() < SMALLEST
    assert torch.equal(result[~small], expected[~small])
    assert torch.equal(result[small], expected[small]) or not result[small].any()


def test_gates_have_torchs_bits_for_every_number(kernels: TorchRows) -> None:
    every = torch.arange(2**16, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    every = every[every.float().abs() >= SMALLEST]
    every = every[: len(every) // 16 * 16].view(1, -1)
    result = torch.empty_like(every)
    sums, ones = every.float(), torch.ones(every.shape)
    call = kernels.gate(Told("sums"), Told("factors"), every.size(1), RESULT)
    run(call, 1, 1, sums=sums, factors=ones, result=result)
    expected = functional.silu(every)
    there = expected.float().abs() >= SMALLEST
    assert torch.equal(result[there], expected[there])


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(1, 9), heads=st.integers(1, 4), head_dim=st.sampled_from([32, 64, 96]))
def test_heads_are_rotated_with_torchs_bits(kernels: TorchRows, rows: int, heads: int, head_dim: int) -> None:
    sums = noise(rows, heads, head_dim)
    cosines, sines = (noise(rows, head_dim, seed=seed).bfloat16() for seed in (1, 2))
    as_heads = sums.bfloat16().unsqueeze(2)
    expected, _ = apply_rotary_pos_emb(as_heads, as_heads, cosines[:, None], sines[:, None])
    result = torch.empty(rows, heads, head_dim, dtype=torch.bfloat16)
    call = kernels.rotate(Told("sums"), heads, head_dim, Told("cosines"), Told("sines"), RESULT)
    run(call, 2, rows, sums=sums, cosines=cosines, sines=sines, result=result)
    assert torch.equal(result, expected.squeeze(2))


def test_sums_are_rounded(kernels: TorchRows) -> None:
    sums, result = noise(7, 48), torch.empty(7, 48, dtype=torch.bfloat16)
    ties = torch.arange(48, dtype=torch.int32) * 2**15 + 0x3F80_0000  # every other one is between two
    sums[0] = ties.view(torch.float32)
    sums[1, :4] = torch.tensor([math.inf, -math.inf, math.nan, 3.4e38])
    sums[2, 0] = torch.tensor(0x7FFF_FFFF, dtype=torch.int32).view(torch.float32)  # no number, and would overflow
    run(kernels.round(Told("sums"), 48, RESULT), 2, 7, sums=sums, result=result)
    torch.testing.assert_close(result, sums.bfloat16(), rtol=0, atol=0, equal_nan=True)


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(1, 40), sums_of=st.integers(1, 9), threads=st.integers(1, 3))
def test_rows_are_put_in_the_products_order(kernels: TorchRows, rows: int, sums_of: int, threads: int) -> None:
    arithmetic = TorchSums()
    width = sums_of * arithmetic.unit
    groups, group = arithmetic.groups_of(rows)
    given = torch.zeros(groups * group, width, dtype=torch.bfloat16)
    given[:rows] = noise(rows, width).bfloat16()
    expected = arithmetic.arranged(given[:rows])
    result = torch.empty_like(expected)
    chain = Chain([kernels.order(Told("numbers"), width, RESULT)])
    chain.run(threads, groups=groups, group=group, numbers=given.data_ptr(), result=result.data_ptr())
    assert torch.equal(result, expected)
