"""Layers over private copies of their weights, as S3Gen's fast parts compute: by matrix units, else by oneDNN."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Literal

import torch
from torch import nn

from .matrix_units import matrix_units

if TYPE_CHECKING:
    from .matrix_units import Ending, MatrixUnits

Activation = Literal["none", "gelu"]

# Only a hint for the layout of packed weights: a few hundred frames.
_EXPECTED_ROWS = 400
# In float32; beyond, the square of the exponential would overflow some day.
_MISH_IS_LINEAR_FROM = 20.0


class Dense(nn.Module, ABC):
    """A dense layer, with its activation computed before the result leaves the kernel."""

    @abstractmethod
    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        """Map (..., in_features) to (..., out_features)."""

    @abstractmethod
    def added_to(self, residual: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        """Return `residual`, contiguous and in float32, plus the product; of a layer without norm and activation."""


def dense(
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    dtype: torch.dtype,
    activation: Activation = "none",
    *,
    norm: nn.LayerNorm | None = None,
    to_float32: bool = False,
) -> Dense:
    """Return a layer over copies of these.

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
    if to_float32 and activation != "none":
        raise ValueError(f"activation={activation!r}: expected 'none' with to_float32=True")
    units = matrix_units(dtype)
    with torch.inference_mode(mode=False), torch.no_grad():
        if units is None or not units.takes(*weight.shape):
            return _ByOneDNN(weight, bias, dtype, activation, norm=norm, to_float32=to_float32)
        return _ByUnits(units, weight, bias, "float32" if to_float32 else activation, norm)


class _ByUnits(Dense):
    """By matrix units, which norm a row while they arrange it; what a norm multiplies and adds is part of the layer."""

    def __init__(
        self,
        units: MatrixUnits,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        ending: Ending,
        norm: nn.LayerNorm | None,
    ) -> None:
        super().__init__()
        self._units = units
        self._ending: Ending = ending
        self._epsilon = None if norm is None else norm.eps
        bias = weight.new_zeros(len(weight)) if bias is None else bias
        if norm is not None:
            bias = bias.double() + weight.double() @ norm.bias.double()
            weight = weight.double() * norm.weight.double()
        self.weight = nn.Parameter(units.pack(weight), requires_grad=False)
        self.bias = own(bias, torch.float32)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        flat = rows.reshape(-1, rows.size(-1))
        result = self._units.dense(flat, self.weight, self.bias, self._ending, epsilon=self._epsilon)
        return result.view(*rows.shape[:-1], result.size(-1))

    def added_to(self, residual: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        assert self._epsilon is None
        assert self._ending == "none"
        flat, old = rows.reshape(-1, rows.size(-1)), residual.view(-1, residual.size(-1))
        return self._units.dense(flat, self.weight, self.bias, "add", old).view(residual.shape)


class _ByOneDNN(Dense):
    """By oneDNN's product over a packed weight."""

    def __init__(
        self,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        dtype: torch.dtype,
        activation: Activation,
        *,
        norm: nn.LayerNorm | None,
        to_float32: bool,
    ) -> None:
        super().__init__()
        self._dtype = dtype
        self._activation = activation
        self._to_float32 = to_float32
        packed = torch.ops.mkldnn._reorder_linear_weight(  # noqa: SLF001 - torch names its packing ops so
            weight.detach().to(dtype).contiguous(), _EXPECTED_ROWS
        )
        self.norm = norm
        self.weight = nn.Parameter(packed, requires_grad=False)
        self.bias = None if bias is None else own(bias, dtype)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        if self.norm is not None:
            rows = self.norm(rows).to(self._dtype)
        product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(  # noqa: SLF001 - as above
            rows.contiguous(), self.weight, self.bias, self._activation, [], "none"
        )
        return product.float() if self._to_float32 else product

    def added_to(self, residual: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
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
        units = matrix_units(dtype)
        self._units = units if units is not None and units.takes_channels(len(norm.weight)) else None
        self.norm = norm

    def forward(self, rows: torch.Tensor, added: torch.Tensor | None = None) -> torch.Tensor:
        """Map float32 (utterances, rows, channels), and (utterances, channels) to be added, to the former shape."""
        if self._units is None:
            result = mish(self.norm(rows))
            return (result if added is None else result.add_(added.unsqueeze(1))).to(self._dtype)
        if added is None:
            added = rows.new_zeros((len(rows), rows.size(-1)))
        return self._units.norm_mish(rows, self.norm.weight, self.norm.bias, self.norm.eps, added)


def mish(values: torch.Tensor) -> torch.Tensor:
    """Return `values` times the hyperbolic tangent of their softplus, by way of a single exponential."""
    grown = values.clamp(max=_MISH_IS_LINEAR_FROM).exp_()
    ratio = grown.add(2.0).mul_(grown)
    return ratio.div_(ratio + 2.0).mul_(values)


def own(tensor: torch.Tensor, dtype: torch.dtype) -> nn.Parameter:
    """Return a copy of `tensor` in `dtype`."""
    with torch.inference_mode(mode=False), torch.no_grad():
        return nn.Parameter(tensor.detach().to(dtype, copy=True), requires_grad=False)
