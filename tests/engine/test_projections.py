"""Every kernel is a dense layer, and only some have weights of their own."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from stateless_tts.engine._projections import COPYING, STREAMED, Kernel, can_pack, streamed_kernels, with_kernel

FEW = {dtype: streamed_kernels(nn.Linear(64, 96, dtype=dtype)) for dtype in (torch.float32, torch.bfloat16)}
KERNELS = [
    (kernel, dtype)
    for dtype, streamed in FEW.items()
    for kernel in Kernel
    if (kernel not in STREAMED or kernel in streamed)
    and (kernel is not Kernel.PACKED or can_pack(torch.device("cpu"), dtype))
    and (kernel is not Kernel.LEFT or dtype is torch.float32)
]


@pytest.mark.parametrize(("kernel", "dtype"), KERNELS)
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("rows", [6, 66])
def test_every_kernel_is_the_dense_layer(kernel: Kernel, dtype: torch.dtype, bias: bool, rows: int) -> None:
    linear = nn.Linear(64, 96, bias=bias, dtype=dtype)
    inputs = torch.randn(2, rows // 2, 64, dtype=dtype)
    with torch.inference_mode():
        torch.testing.assert_close(with_kernel(linear, kernel)(inputs), linear(inputs))


@pytest.mark.parametrize(("kernel", "dtype"), KERNELS)
def test_a_copy_of_a_layer_multiplies_as_it_does(kernel: Kernel, dtype: torch.dtype) -> None:
    layer = with_kernel(nn.Linear(64, 96, dtype=dtype), kernel)
    rows = torch.randn(4, 64, dtype=dtype)
    if kernel is Kernel.PACKED:
        pytest.skip("torch copies no tensor in oneDNN's own layout")
    with torch.inference_mode():
        assert torch.equal(copy.deepcopy(layer)(rows), layer(rows))


@pytest.mark.parametrize("kernel", [Kernel.LINEAR, Kernel.LEFT])
def test_weights_are_shared(kernel: Kernel) -> None:
    linear = nn.Linear(64, 96)
    assert with_kernel(linear, kernel).weight is linear.weight


def test_packing_is_for_cpus_and_two_dtypes() -> None:
    assert can_pack(torch.device("cpu"), torch.float32) == torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert not can_pack(torch.device("cpu"), torch.float16)
    assert not can_pack(torch.device("cuda"), torch.bfloat16)


@pytest.mark.skipif(not FEW[torch.float32], reason="this CPU or build of torch has no streamed product")
def test_many_rows_are_multiplied_as_stock_does() -> None:
    linear = nn.Linear(1024, 96)
    layer = with_kernel(linear, Kernel.STREAMED_FEW)
    few, many = torch.randn(128, 1024), torch.randn(129, 1024)
    with torch.inference_mode():
        assert torch.equal(layer(many), linear(many))
        assert torch.equal(layer(few), with_kernel(linear, Kernel.STREAMED)(few))


@pytest.mark.parametrize(
    "linear",
    [nn.Linear(64, 97), nn.Linear(64, 96, dtype=torch.float16), nn.Linear(64, 96, device="meta")],
    ids=["outputs that fill no strips", "float16", "not on the CPU"],
)
def test_what_cannot_be_streamed_is_refused(linear: nn.Linear) -> None:
    assert streamed_kernels(linear) == ()
    with pytest.raises(ValueError, match="cannot be multiplied streamed on this machine"):
        with_kernel(linear, Kernel.STREAMED)


def test_kernels_that_copy_are_those_with_weights_of_their_own() -> None:
    linear = nn.Linear(64, 96)
    for kernel, dtype in KERNELS:
        if dtype is torch.float32:
            assert (with_kernel(linear, kernel).weight is not linear.weight) == (kernel in COPYING)
