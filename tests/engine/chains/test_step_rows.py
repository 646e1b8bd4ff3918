"""The kernels between a step's products do what torch does, in the order in which the next product reads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from stateless_tts.engine.chains._step_rows import StepRows
from stateless_tts.engine.machine_code._chain import Chain, Told
from stateless_tts.engine.machine_code._translation import openmp
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from tests.engine.features import FEATURES, KINDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stateless_tts.engine.machine_code._chain import Call

pytestmark = [
    pytest.mark.skipif(openmp() is None, reason="torch has no OpenMP of GNU's here"),
    pytest.mark.skipif(not has_wide_vectors(FEATURES), reason="the kernels are of AVX2"),
]

rows_and_groups = given(
    rows=st.integers(1, 14), group=st.integers(1, 6), vectors=st.integers(1, 11), threads=st.integers(1, 3)
)
RESULT = Told("result")


@pytest.fixture(scope="module", params=KINDS)
def kernels(request: pytest.FixtureRequest) -> StepRows:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("stateless_tts.engine.chains._step_rows.cpu_features", lambda: KINDS[request.param])
        return StepRows()


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape) + seed))


def in_groups(
    calls: Sequence[Call], rows: int, width: int, group: int, threads: int = 1, **given: torch.Tensor
) -> torch.Tensor:
    """Return what calls result in, row after row; what belongs to no row has to stay."""
    groups = -(-rows // group)
    result = torch.full((groups, width, group), 99.0)
    given["scales"] = torch.empty(rows)
    places = {name: tensor.data_ptr() for name, tensor in given.items()}
    Chain(calls).run(threads, rows=rows, group=group, result=result.data_ptr(), **places)
    every = result.transpose(1, 2).reshape(groups * group, width)
    assert (every[rows:] == 99.0).all()
    return every[:rows]


@settings(deadline=None, max_examples=40)
@rows_and_groups
def test_norms_are_norms(kernels: StepRows, rows: int, group: int, vectors: int, threads: int) -> None:
    width = 16 * vectors
    norm = LlamaRMSNorm(width, eps=1e-3).requires_grad_(requires_grad=False)
    norm.weight.copy_(noise(width))
    hidden, added = noise(rows, width) * 3, noise(rows, width, seed=1)
    expected = norm(hidden.double())
    calls = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, RESULT, None, ordered=True)
    before = hidden.clone()
    found = in_groups(calls, rows, width, group, threads, hidden=hidden)
    torch.testing.assert_close(found, expected.float(), rtol=2e-6, atol=1e-6)
    assert torch.equal(hidden, before)

    calls = kernels.norm(Told("hidden"), norm.weight, norm.variance_epsilon, RESULT, Told("added"), ordered=True)
    found = in_groups(calls, rows, width, group, threads, hidden=hidden, added=added)
    torch.testing.assert_close(found, norm((before + added).double()).float(), rtol=2e-6, atol=1e-6)
    assert torch.equal(hidden, before + added)


def test_a_norm_may_leave_rows_as_they_are(kernels: StepRows) -> None:
    hidden, weight = noise(5, 32), noise(32)
    calls = kernels.norm(Told("hidden"), weight, 1e-5, RESULT, None, ordered=False)
    result, scales = torch.empty(5, 32), torch.empty(5)
    places = {"hidden": hidden.data_ptr(), "scales": scales.data_ptr(), "result": result.data_ptr()}
    Chain(calls).run(2, rows=5, group=3, **places)
    calls = kernels.norm(Told("hidden"), weight, 1e-5, RESULT, None, ordered=True)
    assert torch.equal(result, in_groups(calls, 5, 32, 3, hidden=hidden))


@settings(deadline=None, max_examples=40)
@rows_and_groups
def test_gates_are_gates(kernels: StepRows, rows: int, group: int, vectors: int, threads: int) -> None:
    width = 16 * vectors
    numbers, factors = noise(rows, width) * 40, noise(rows, width, seed=1)
    calls = [kernels.gate(Told("numbers"), Told("factors"), width, RESULT)]
    found = in_groups(calls, rows, width, group, threads, numbers=numbers, factors=factors)
    expected = functional.silu(numbers.double()) * factors.double()
    torch.testing.assert_close(found, expected.float(), rtol=2e-6, atol=1e-6)


def test_gates_far_out_and_of_no_number(kernels: StepRows) -> None:
    numbers = torch.tensor([[-1e6, -200.0, -90.0, 0.0, 200.0, 3e38, float("nan"), float("inf")] * 2])
    calls = [kernels.gate(Told("numbers"), Told("factors"), 16, RESULT)]
    found = in_groups(calls, 1, 16, 1, numbers=numbers, factors=torch.ones(1, 16))
    torch.testing.assert_close(found, functional.silu(numbers), rtol=1e-6, atol=1e-30, equal_nan=True)


@settings(deadline=None, max_examples=40)
@rows_and_groups
def test_order_is_nothing_else(kernels: StepRows, rows: int, group: int, vectors: int, threads: int) -> None:
    numbers = noise(rows, 16 * vectors)
    calls = [kernels.order(Told("numbers"), 16 * vectors, RESULT)]
    assert torch.equal(in_groups(calls, rows, 16 * vectors, group, threads, numbers=numbers), numbers)


@settings(deadline=None, max_examples=20)
@given(rows=st.integers(1, 9), heads=st.integers(1, 4), head_dim=st.sampled_from([32, 64, 96]))
def test_heads_are_rotated(kernels: StepRows, rows: int, heads: int, head_dim: int) -> None:
    numbers, cosines, sines = noise(rows, heads, head_dim), noise(rows, head_dim), noise(rows, head_dim, seed=1)
    as_heads = numbers.unsqueeze(2)
    expected, _ = apply_rotary_pos_emb(as_heads, as_heads, cosines[:, None], sines[:, None])
    call = kernels.rotate(Told("numbers"), heads, head_dim, Told("cosines"), Told("sines"))
    places = {"numbers": numbers.data_ptr(), "cosines": cosines.data_ptr(), "sines": sines.data_ptr()}
    Chain([call]).run(2, rows=rows, **places)
    torch.testing.assert_close(numbers, expected.squeeze(2), rtol=1e-6, atol=1e-6)
