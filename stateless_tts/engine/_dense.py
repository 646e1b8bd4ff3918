"""Layers over private copies of their weights, as S3Gen's fast parts compute."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from .units import find_units

if TYPE_CHECKING:
    from .units import Units

Activation = Literal["none", "gelu"]

# Only a hint for the layout of packed weights: a few hundred frames.
_EXPECTED_ROWS = 400
# In float32; beyond, the square of the exponential would overflow some day.
_MISH_IS_LINEAR_FROM = 20.0


def dense(weight: torch.Tensor, bias: torch.Tensor | None) -> UnitsDense | PackedDense:
    """Return a float32 layer over copies of these, by units if the CPU has any.

    Args:
        weight: of shape (out_features, in_features).
        bias: of shape (out_features,), or None.
    """
    units = find_units(torch.float32)
    with torch.inference_mode(mode=False), torch.no_grad():
        if units is None or not units.takes(*weight.shape):
            return PackedDense(weight, bias, torch.float32)
        return UnitsDense(units, weight, bias)


class UnitsDense(nn.Module):
    """A dense layer in units, over copies of these.

    Args:
        units: that take the weight.
        weight: of shape (out_features, in_features).
        bias: of shape (out_features,), or None.
    """

    def __init__(self, units: Units, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        super().__init__()
        self._units = units
        self.weight = nn.Parameter(units.pack(weight), requires_grad=False)
        self.bias = own(weight.new_zeros(len(weight)) if bias is None else bias, torch.float32)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        result = self._units.dense(rows.reshape(-1, rows.size(-1)), self.weight, self.bias)
        return result.view(*rows.shape[:-1], result.size(-1))


class PackedDense(nn.Module):
    """A dense layer by oneDNN over packed copies, with its activation computed before the result leaves the kernel.

    Args:
        weight: of shape (out_features, in_features).
        bias: of shape (out_features,), or None.
        dtype: of the rows to come, and of the result.
        activation: of the result.
        norm: over in_features, taken of each row first, which is float32 then.
        to_float32: whether the result is float32 whatever `dtype` is; without activation.

    Raises:
        ValueError: `to_float32` with an activation.
    """

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        activation: Activation = "none",
        *,
        norm: nn.LayerNorm | None = None,
        to_float32: bool = False,
    ) -> None:
        super().__init__()
        if to_float32 and activation != "none":
            raise ValueError(f"activation={activation!r}: expected 'none' with to_float32=True")
        self._dtype = dtype
        self._activation = activation
        self._to_float32 = to_float32
        self.norm = norm
        with torch.inference_mode(mode=False), torch.no_grad():
            packed = torch.ops.mkldnn._reorder_linear_weight(  # noqa: SLF001 - torch names its packing ops so
                weight.detach().to(dtype).contiguous(), _EXPECTED_ROWS
            )
            self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = None if bias is None else own(bias, dtype)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""
        if self.norm is not None:
            rows = self.norm(rows).to(self._dtype)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - as above
            rows.contiguous(), self.weight, self.bias, self._activation, [], "none"
        )
        return product.float() if self._to_float32 else product

    def added_to(self, residual: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return `residual`, contiguous and in float32, plus the product; of a layer without norm and activation."""
        assert self.norm is None
        assert self._activation == "none"
        if rows.dtype is not residual.dtype:
            product: torch.Tensor = self(rows)
            return product.float().add_(residual)
        total: torch.Tensor = torch.ops.mkldnn._linear_pointwise.binary(  # noqa: SLF001 - as above
            rows.contiguous(), residual, self.weight, self.bias, "add"
        )
        return total


class NormMish(nn.Module):
    """A layer norm, then mish, then a sum with a vector for all rows.

    Args:
        norm: over all channels.
        dtype: of the result.
    """

    def __init__(self, norm: nn.LayerNorm, dtype: torch.dtype) -> None:
        super().__init__()
        self._dtype = dtype
        self.norm = norm

    def forward(self, rows: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Map float32 (utterances, rows, channels), and (utterances, channels) to be added, to the former shape."""
        result = mish(self.norm(rows))
        return (result if added is None else result.add_(added.unsqueeze(1))).to(self._dtype)


def mish(values: torch.Tensor) -> torch.Tensor:
    """Return `values` times the hyperbolic tangent of their softplus, by way of a single exponential."""
    grown = values.clamp(max=_MISH_IS_LINEAR_FROM).exp_()
    ratio = grown.add(2.0).mul_(grown)
    return ratio.div_(ratio + 2.0).mul_(values)


def own(tensor: torch.Tensor, dtype: torch.dtype) -> nn.Parameter:
    """Return a copy of `tensor` in `dtype`."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return nn.Parameter(tensor.detach().to(dtype, copy=True), requires_grad=False)
