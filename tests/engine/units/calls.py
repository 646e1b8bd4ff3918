"""One call of units on tensors, as the chains that units are made for string many together."""

from __future__ import annotations

import torch

from stateless_tts.engine.machine_code._chain import Chain, Told
from stateless_tts.engine.units import Ending, Units, run


def dense(
    units: Units,
    rows: torch.Tensor,
    packed: torch.Tensor,
    bias: torch.Tensor,
    ending: Ending = "none",
    *,
    residual: torch.Tensor | None = None,
    epsilon: float | None = None,
) -> torch.Tensor:
    """Return the layer of `rows`, (rows, depth), with an ending, or normed first."""
    dtype = torch.float32 if ending in {"add", "float32"} else units.dtype
    result = rows.new_empty((len(rows), units.shape_of(packed)[0]), dtype=dtype)
    told = {"numbers": rows.data_ptr(), "result": result.data_ptr()}
    if residual is not None:
        told["residual"] = residual.data_ptr()
    call = units.dense_call(
        packed,
        bias,
        Told("numbers"),
        Told("result"),
        row_bytes=rows.stride(0) * rows.itemsize,
        incoming="own" if rows.dtype is units.dtype else "float32",
        ending=ending,
        residual=None if residual is None else Told("residual"),
        epsilon=epsilon,
    )
    run(Chain([call]), len(rows), **told)
    return result


def attention(units: Units, joint: torch.Tensor, heads: int) -> torch.Tensor:
    """Return what each of (rows, frames, 3 * heads * head_dim) attends to, rows for themselves."""
    rows, frames, width = joint.shape
    result = joint.new_empty((rows, frames, width // 3))
    chain = Chain([units.attention_call(heads, width // 3 // heads, Told("joint"), Told("result"))])
    for row, attended in zip(joint, result, strict=True):
        run(chain, frames, joint=row.data_ptr(), result=attended.data_ptr())
    return result


def norm_mish(
    units: Units, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, added: torch.Tensor
) -> torch.Tensor:
    """Return norm, mish and sum of float32 (utterances, rows, channels) and (utterances, channels)."""
    result = torch.empty_like(rows, dtype=units.dtype)
    chain = Chain([units.norm_mish_call(weight, bias, epsilon, Told("numbers"), Told("added"), Told("result"))])
    for own, own_added, own_result in zip(rows, added, result, strict=True):
        told = {"numbers": own.data_ptr(), "added": own_added.data_ptr(), "result": own_result.data_ptr()}
        run(chain, rows.size(1), **told)
    return result
