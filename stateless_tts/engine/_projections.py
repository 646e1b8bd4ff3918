"""Ways to multiply a batch of rows with a weight matrix.

T3's step is bound by how fast its weights are read, and how fast that is depends on how the product is asked for.
The products differ in the order in which they add, and so in their last bits; which one is used is decided once,
when the engine starts (`_self_check`), and never again.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

import torch
from torch import nn

from ._huge_pages import put_packed_on_huge_pages
from ._onednn import has_onednn, has_onednn_bfloat16
from .streamed import streamed_product

if TYPE_CHECKING:
    from .machine_code._chain import Call, Told


class Kernel(Enum):
    """How a product of rows and weights is asked for."""

    STREAMED = "streamed"
    """Our own product over a private copy of the weight, which fetches weights while it multiplies. CPU only."""

    STREAMED_512 = "streamed, in sums of 512"
    """The same, each result being added up from sums of 512 products, as oneDNN does for some depths."""

    STREAMED_1024 = "streamed, in sums of 1024"
    """The same, with sums of 1024."""

    STREAMED_FEW = "streamed, few rows"
    """STREAMED for at most 64 rows in all, or 128 in float32, LINEAR for more, as long prompts are that are not read in
    chains: libraries multiply these as fast. A row's bits are its own only among numbers of rows on one side."""

    LINEAR = "linear"
    """``rows @ weight.T``, as `torch.nn.Linear` does, over the shared weight."""

    LEFT = "left"
    """``(weight @ rows.T).T``, over the shared weight: fp32 BLAS streams the large operand better if it is first."""

    PACKED = "packed"
    """oneDNN's product over a private copy of the weight, in the order in which the kernel reads it. CPU only."""


# The products in a sum, where they are not the arithmetic's first choice.
_SUMS_OF = {Kernel.STREAMED_512: 512, Kernel.STREAMED_1024: 1024}
# Most rows of STREAMED_FEW: from there on MKL is as fast in float32, and oneDNN may add otherwise in bfloat16.
_FEW_ROWS = {torch.float32: 128, torch.bfloat16: 64}
STREAMED = frozenset({Kernel.STREAMED, Kernel.STREAMED_FEW, *_SUMS_OF})
COPYING = STREAMED | {Kernel.PACKED}
"""Kernels that have a copy of the weight."""


class LeftLinear(nn.Module):
    """`torch.nn.Linear` over the very same parameters, with the weight as the left operand."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.weight = linear.weight
        self.bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        flat = rows.reshape(-1, rows.size(-1))
        product = torch.mm(self.weight, flat.t()).t().contiguous()
        if self.bias is not None:
            product += self.bias
        return product.view(*rows.shape[:-1], -1)


class PackedLinear(nn.Module):
    """`torch.nn.Linear` over a packed copy of the weight, which takes as much memory as the weight does."""

    # Only a hint for the choice of the layout.
    _EXPECTED_ROWS = 8

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        with torch.inference_mode(mode=False), torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(  # noqa: SLF001 - torch names its packing ops so
                linear.weight.detach(), self._EXPECTED_ROWS
            )
        put_packed_on_huge_pages(packed)
        # Named `weight` because upstream asks `speech_head.weight` for its device.
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = linear.bias

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - as above
            rows.contiguous(), self.weight, self.bias, "none", [], ""
        )
        return product


class StreamedLinear(nn.Module):
    """`torch.nn.Linear` over a private copy of the weight in strips, which takes as much memory as the weight does.

    Args:
        linear: the layer.
        kernel: one of its `streamed_kernels`.

    Raises:
        ValueError: it is none of them.
    """

    def __init__(self, linear: nn.Linear, kernel: Kernel) -> None:
        super().__init__()
        product = streamed_product(linear.weight.dtype)
        if product is None or kernel not in streamed_kernels(linear):
            layer = f"{linear} of {linear.weight.dtype} on {linear.weight.device}"
            raise ValueError(f"{layer} cannot be multiplied {kernel.value} on this machine")
        self.product = product
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self._sums_of = _SUMS_OF.get(kernel, product.arithmetic.sums_of[0])
        with torch.inference_mode(mode=False), torch.no_grad():
            self.weight = nn.Parameter(product.pack(linear.weight), requires_grad=False)
        self.bias = linear.bias
        self.for_many_rows = linear if kernel is Kernel.STREAMED_FEW else None

    def call(self, numbers: Told, result: Told) -> Call:
        """Return the layer, of any number of rows and without its bias, as a call of a chain that keeps its weight.

        Args:
            numbers: where rows lie as the product arranges them.
            result: where the result goes, float32.
        """
        return self.product.multiply_call(self.weight, self._sums_of, numbers, result)

    def takes(self, rows: int) -> bool:
        """Whether so many rows are multiplied by this product."""
        return self.for_many_rows is None or rows <= _FEW_ROWS[self.weight.dtype]

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        if self.for_many_rows is not None and not self.takes(rows.numel() // rows.size(-1)):
            by_stock: torch.Tensor = self.for_many_rows(rows)
            return by_stock
        flat = rows.reshape(-1, rows.size(-1))
        result = self.product.multiply(flat, self.weight, self._sums_of, self.bias, self.out_features)
        return result.view(*rows.shape[:-1], result.size(-1))


def streamed_kernels(linear: nn.Linear) -> tuple[Kernel, ...]:
    """Return the streamed products that this machine has for `linear`, best first."""
    if linear.weight.device.type != "cpu":
        return ()
    product = streamed_product(linear.weight.dtype)
    if product is None or not product.takes(linear.out_features, linear.in_features):
        return ()
    if linear.weight.dtype is torch.float32:  # any order will do, and the layer's own weight is there in any case
        return (Kernel.STREAMED_FEW, Kernel.STREAMED)
    sums = product.arithmetic.sums_of
    return (Kernel.STREAMED, *(kernel for kernel, count in _SUMS_OF.items() if count in sums), Kernel.STREAMED_FEW)


def can_pack(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether this build and device have a packed product for `dtype`."""
    if device.type != "cpu":
        return False
    return has_onednn_bfloat16() if dtype is torch.bfloat16 else dtype is torch.float32 and has_onednn()


def with_kernel(linear: nn.Linear, kernel: Kernel) -> nn.Module:
    """Return a module that maps rows as `linear` does, by way of `kernel`. `linear` is not written to."""
    if kernel is Kernel.LEFT:
        return LeftLinear(linear)
    if kernel in STREAMED:
        return StreamedLinear(linear, kernel)
    if kernel is Kernel.PACKED:
        return PackedLinear(linear)
    return linear
