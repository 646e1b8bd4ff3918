"""A dense layer over a packed private copy of its weight, as S3Gen's fast parts multiply."""

from __future__ import annotations

import torch
from torch import nn

# Only a hint for the layout of packed weights: a few hundred frames.
_EXPECTED_ROWS = 400


class Dense(nn.Module):
    """A packed dense layer, with its activation computed before the result leaves the kernel.

    Args:
        weight: of shape (out_features, in_features); copied.
        bias: of shape (out_features,), or None; copied.
        dtype: of the copies, and of the rows to come.
        activation: as oneDNN names it.
    """

    def __init__(
        self, weight: torch.Tensor, bias: torch.Tensor | None, dtype: torch.dtype, activation: str = "none"
    ) -> None:
        super().__init__()
        with torch.inference_mode(mode=False), torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(  # noqa: SLF001 - torch names its packing ops so
                weight.detach().to(dtype).contiguous(), _EXPECTED_ROWS
            )
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = None if bias is None else own(bias, dtype)
        self.activation = activation

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - as above
            rows, self.weight, self.bias, self.activation, [], "none"
        )
        return product

    def added_to(self, residual: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return `residual`, in float32, plus the product; in float32 the kernel adds it."""
        if rows.dtype is not residual.dtype:
            product: torch.Tensor = self(rows)
            return product.float().add_(residual)
        total: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(  # noqa: SLF001 - as above
            rows, residual, self.weight, self.bias, "add"
        )
        return total


def own(tensor: torch.Tensor, dtype: torch.dtype) -> nn.Parameter:
    """Return a copy of `tensor` in `dtype`."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return nn.Parameter(tensor.detach().to(dtype, copy=True), requires_grad=False)
