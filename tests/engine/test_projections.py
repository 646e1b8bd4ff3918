"""Every kernel is a dense layer, and only the packed one has weights of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from stateless_tts.engine._projections import Kernel, can_pack, can_stream, with_kernel

streaming = pytest.mark.skipif(
    not can_stream(nn.Linear(64, 96)), reason="this CPU or build of torch has no streamed product"
)
KERNELS = [pytest.param(kernel, marks=streaming if kernel is Kernel.STREAMED else ()) for kernel in Kernel]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("bias", [False, True])
def test_every_kernel_is_the_dense_layer(kernel: Kernel, bias: bool) -> None:
    linear = nn.Linear(64, 96, bias=bias)
    rows = torch.randn(2, 3, 64)
    with torch.inference_mode():
        torch.testing.assert_close(with_kernel(linear, kernel)(rows), linear(rows))


@pytest.mark.parametrize("kernel", [Kernel.LINEAR, Kernel.LEFT])
def test_weights_are_shared(kernel: Kernel) -> None:
    linear = nn.Linear(64, 96)
    assert with_kernel(linear, kernel).weight is linear.weight


def test_packing_is_for_cpus_and_two_dtypes() -> None:
    assert can_pack(torch.device("cpu"), torch.float32) == torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call] # torch leaves it untyped
    assert not can_pack(torch.device("cpu"), torch.float16)
    assert not can_pack(torch.device("cuda"), torch.bfloat16)


@pytest.mark.parametrize(
    "linear",
    [
        nn.Linear(64, 97),
        nn.Linear(64, 96, dtype=torch.bfloat16),
        nn.Linear(64, 96, device="meta"),
    ],
    ids=["outputs that fill no strips", "bfloat16", "not on the CPU"],
)
def test_what_cannot_be_streamed_is_refused(linear: nn.Linear) -> None:
    assert not can_stream(linear)
    with pytest.raises(ValueError, match="cannot be streamed"):
        with_kernel(linear, Kernel.STREAMED)
