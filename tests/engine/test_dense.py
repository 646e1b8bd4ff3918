"""Layers compute what torch's do, but for rounding."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import nn
from torch.nn import functional

from stateless_tts.engine import can_pack
from stateless_tts.engine._dense import NormMish, PackedDense, UnitsDense, dense, mish

DTYPES = [
    pytest.param(
        dtype,
        marks=pytest.mark.skipif(not can_pack(torch.device("cpu"), dtype), reason=f"oneDNN has no products of {dtype}"),
        id=str(dtype),
    )
    for dtype in (torch.float32, torch.bfloat16)
]
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape)))


def a_norm(channels: int) -> nn.LayerNorm:
    norm = nn.LayerNorm(channels, eps=1e-3).requires_grad_(requires_grad=False)
    norm.weight.copy_(noise(channels))
    norm.bias.copy_(noise(channels).flip(0))
    return norm


def near(dtype: torch.dtype, found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found.float(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("outputs", [64, 80])
@pytest.mark.parametrize("biased", [False, True])
def test_a_float32_layer_is_the_layer(by: str, outputs: int, *, biased: bool) -> None:
    weight, rows = noise(outputs, 96) / 10, noise(2, 5, 96)
    bias = noise(outputs) if biased else None
    layer = dense(weight, bias)
    assert isinstance(layer, UnitsDense if by == "units" and outputs == 64 else PackedDense)
    with torch.inference_mode():
        near(torch.float32, layer(rows), functional.linear(rows, weight, bias))


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize("normed", [False, True])
def test_a_layer_is_the_layer(dtype: torch.dtype, activation: Literal["none", "gelu"], *, normed: bool) -> None:
    weight, bias, rows = noise(80, 96) / 10, noise(80), noise(2, 5, 96)
    norm = a_norm(96) if normed else None
    with torch.inference_mode():
        found = PackedDense(weight, bias, dtype, activation, norm=norm)(rows if normed else rows.to(dtype))
        expected = functional.linear(rows if norm is None else norm(rows), weight, bias)
    assert found.dtype is dtype
    near(dtype, found, functional.gelu(expected) if activation == "gelu" else expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_is_added(dtype: torch.dtype) -> None:
    weight, residual, rows = noise(64, 96) / 10, noise(2, 5, 64), noise(2, 5, 96)
    before = residual.clone()
    with torch.inference_mode():
        found = PackedDense(weight, None, dtype).added_to(residual, rows.to(dtype))
    assert found.dtype is torch.float32
    near(dtype, found, functional.linear(rows, weight) + residual)
    assert torch.equal(residual, before)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("added", [False, True])
def test_a_convolution_may_be_left_in_float32_and_ended(dtype: torch.dtype, *, added: bool) -> None:
    weight, rows, norm = noise(64, 96) / 10, noise(2, 5, 96), a_norm(64)
    sums = noise(2, 64) if added else None
    with torch.inference_mode():
        product = PackedDense(weight, None, dtype, to_float32=True)(rows.to(dtype))
        found = NormMish(norm, dtype)(product, sums)
    assert product.dtype is torch.float32
    assert found.dtype is dtype
    expected = functional.mish(norm(product))
    near(dtype, found, expected if sums is None else expected + sums.unsqueeze(1))


def test_no_rows_give_no_rows(by: str) -> None:
    del by
    with torch.inference_mode():
        assert dense(noise(64, 32), None)(noise(1, 0, 32)).shape == (1, 0, 64)


def test_what_is_left_in_float32_has_no_activation() -> None:
    with pytest.raises(ValueError, match="activation='gelu': expected 'none' with to_float32=True"):
        PackedDense(noise(64, 32), None, torch.bfloat16, "gelu", to_float32=True)


def test_mish_is_mish() -> None:
    values = torch.cat([torch.linspace(-200.0, 200.0, 4001), torch.tensor([-3e38, 3e38])])
    torch.testing.assert_close(mish(values), functional.mish(values), rtol=1e-5, atol=1e-6)
