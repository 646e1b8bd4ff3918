"""What AMX's kernels are called by: tensors are checked, and given room."""

from __future__ import annotations

import logging
import struct
from functools import cache
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine.machine_code import _vectors
from stateless_tts.engine.machine_code._amx import has_amx
from stateless_tts.engine.machine_code._translation import MachineCode, cpu_features

from . import _attention, _dense, _norm_mish, _panels
from ._panels import SIDE, STEP

if TYPE_CHECKING:
    from ._dense import Ending

logger = logging.getLogger(__name__)

# So many rows as panels fit a core's second cache with a strip of weights, at the depths that S3Gen has.
_PANELS_OF_A_SHARE = 16
_PARTS = {torch.bfloat16: 1, torch.float32: 2}
_FEATURES = ("amx-tile", "avx512f", "avx512bw", "avx512vl", "avx512bf16")


class MatrixUnits:
    """Dense layers and attention of one dtype, on the CPU, by as many threads as torch's operations have there.

    In bfloat16 sums are float32; in float32, numbers are taken as the sum of two bfloat16, which keep 16 of their 24
    bits (`_panels`). A row's bits are its own, whatever rows there are beside it and however many threads there are.

    Args:
        dtype: `torch.float32` or `torch.bfloat16`.
        features: of a CPU that has these units, as LLVM names them.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, dtype: torch.dtype, features: dict[str, bool]) -> None:
        self.dtype = dtype
        self._parts = _PARTS[dtype]
        layers = [(ending, normed) for ending in _dense.ENDINGS for normed in (False, True)]
        source = [
            _vectors.DECLARATIONS,
            _panels.source(self._parts),
            *(_dense.source(_name(*layer), *layer, self._parts) for layer in layers),
            _attention.source("attention", self._parts),
            _norm_mish.source("norm_mish", self._parts),
        ]
        tables = {_name(*layer): _dense.FIELDS for layer in layers}
        tables |= {"attention": _attention.FIELDS, "norm_mish": _norm_mish.FIELDS}
        self._code = MachineCode("\n".join(source), tables, features)

    def takes(self, outputs: int, depth: int) -> bool:
        """Whether a weight of shape (outputs, depth) fills whole panels."""
        return outputs % SIDE == 0 and depth % STEP == 0 and outputs * depth > 0

    def takes_heads_of(self, head_dim: int) -> bool:
        """Whether heads of so many numbers fill whole panels."""
        return self.takes(head_dim, head_dim)

    def takes_channels(self, channels: int) -> bool:
        """Whether rows of so many numbers can be normed."""
        return channels % _vectors.LANES == 0

    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in panels.

        Args:
            weight: floating point of shape (outputs, depth), on the CPU; one that this `takes`.

        Returns:
            bfloat16 of shape (panels, steps of the depth, halves of a panel, parts, pairs of numbers, outputs, 2),
            contiguous.
        """
        parts, left = [], weight.detach().float()
        for _ in range(self._parts):
            parts.append(left.to(torch.bfloat16))
            left = left - parts[-1].float()
        outputs, depth = weight.shape
        side = SIDE // 2
        divided = torch.stack(parts).view(self._parts, outputs // SIDE, 2, side, depth // STEP, STEP // 2, 2)
        return divided.permute(1, 4, 2, 0, 5, 3, 6).contiguous()

    def dense(
        self,
        rows: torch.Tensor,
        packed: torch.Tensor,
        bias: torch.Tensor,
        ending: Ending = "none",
        residual: torch.Tensor | None = None,
        epsilon: float | None = None,
    ) -> torch.Tensor:
        """Return ``rows @ weight.T + bias``, or what `ending` makes of it.

        Args:
            rows: of shape (rows, depth) and this dtype, on the CPU, numbers of a row side by side; rows may overlap.
            packed: what `pack` returned for the weight.
            bias: float32 of shape (outputs,).
            ending: ``"gelu"``, ``"add"`` to add `residual`, ``"float32"`` for a result in that; ``"none"`` leaves it.
            residual: float32 of shape (rows, outputs), with ``"add"``.
            epsilon: if given, `rows` are float32, and each is taken less its mean and over the square root of its
                variance plus this, before it is multiplied.

        Returns:
            Of shape (rows, outputs) and this dtype, but float32 with ``"add"`` and ``"float32"``.

        Raises:
            ValueError: an argument is not that.
        """
        panels, steps, _, parts, *_ = packed.shape
        outputs, depth = panels * SIDE, steps * STEP
        _check("packed", packed, torch.bfloat16, (panels, steps, 2, self._parts, SIDE // 2, SIDE // 2, 2))
        _check("bias", bias, torch.float32, (outputs,))
        expected = self.dtype if epsilon is None else torch.float32
        beside = rows.stride(1) == 1 and rows.device.type == "cpu"
        if rows.dtype is not expected or rows.shape != (len(rows), depth) or not beside:
            found = f"{rows.dtype} and {tuple(rows.shape)} on {rows.device}, {rows.stride(1)} apart"
            raise ValueError(f"rows of {found}: expected {expected} and (rows, {depth}) on the CPU, side by side")
        if (ending == "add") != (residual is not None):
            raise ValueError(f"ending={ending!r} with residual={residual}: expected a residual with 'add' alone")
        if residual is not None:
            _check("residual", residual, torch.float32, (len(rows), outputs))
        result = rows.new_empty((len(rows), outputs), dtype=torch.float32 if ending in _dense.FLOAT32 else self.dtype)
        if not len(rows):
            return result
        blocks, threads = -(-len(rows) // SIDE), torch.get_num_threads()
        shares = min(blocks, max(threads, -(-blocks // _PANELS_OF_A_SHARE)))
        room_bytes = -(-blocks // shares) * steps * _panels.step_bytes(parts)
        room = packed.new_empty(threads * room_bytes, dtype=torch.uint8)
        values = {
            "next_share": 0,
            "next_room": 0,
            "shares": shares,
            "rows": len(rows),
            "row_bytes": rows.stride(0) * rows.itemsize,
            "steps": steps,
            "strips": panels,
            "room_bytes": room_bytes,
            "numbers": rows.data_ptr(),
            "weights": packed.data_ptr(),
            "bias": bias.data_ptr(),
            "residual": 0 if residual is None else residual.data_ptr(),
            "room": room.data_ptr(),
            "result": result.data_ptr(),
            "epsilon": _bits(epsilon or 0.0),
        }
        self._code.run(_name(ending, epsilon is not None), values, threads)
        return result

    def norm_mish(
        self, rows: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, added: torch.Tensor
    ) -> torch.Tensor:
        """Return the layer norm of each row, then its mish, then its sum with what is added.

        Args:
            rows: float32 of shape (utterances, rows, channels), on the CPU, contiguous; of channels that it takes.
            weight: float32 of shape (channels,).
            bias: the same.
            epsilon: as `torch.nn.LayerNorm` has it.
            added: float32 of shape (utterances, channels).

        Returns:
            Of the same shape and this dtype.

        Raises:
            ValueError: an argument is not that.
        """
        utterances, count, channels = rows.shape
        _check("rows", rows, torch.float32, (utterances, count, channels - channels % _vectors.LANES))
        _check("weight", weight, torch.float32, (channels,))
        _check("bias", bias, torch.float32, (channels,))
        _check("added", added, torch.float32, (utterances, channels))
        result = torch.empty_like(rows, dtype=self.dtype)
        if not rows.numel():
            return result
        threads = torch.get_num_threads()
        values = {
            "next_share": 0,
            "shares": min(threads, count),
            "rows": count,
            "vectors": channels // _vectors.LANES,
            "scale": weight.data_ptr(),
            "shift": bias.data_ptr(),
            "epsilon": _bits(epsilon),
        }
        for own, own_added, own_result in zip(rows, added, result, strict=True):
            values.update(numbers=own.data_ptr(), added=own_added.data_ptr(), result=own_result.data_ptr())
            self._code.run("norm_mish", values, threads)
        return result

    def attention(self, joint: torch.Tensor, heads: int) -> torch.Tensor:
        """Return the attention of queries that are scaled already, every frame seeing every other.

        Args:
            joint: of shape (rows, frames, 3 * heads * head_dim) and this dtype, on the CPU, contiguous: queries of all
                heads, keys of all heads, values of all heads. Rows do not see each other.
            heads: how many; `takes_heads_of` has to be true of their size.

        Returns:
            Of shape (rows, frames, heads * head_dim) and this dtype.

        Raises:
            ValueError: an argument is not that.
        """
        rows, frames, width = joint.shape
        head_dim, rest = divmod(width, 3 * heads)
        if rest or not self.takes_heads_of(head_dim):
            raise ValueError(f"{width} numbers for {heads} heads: expected 3 times a multiple of {SIDE} for each")
        _check("joint", joint, self.dtype, (rows, frames, width))
        result = joint.new_empty((rows, frames, heads * head_dim))
        if not frames:
            return result
        steps, blocks = head_dim // STEP, -(-frames // SIDE)
        room_bytes = _attention.room_bytes(blocks, steps, self._parts)
        threads = torch.get_num_threads()
        room = joint.new_empty(threads * room_bytes, dtype=torch.uint8)
        all_heads_bytes = heads * head_dim * joint.itemsize
        values = {
            "next_head": 0,
            "next_room": 0,
            "heads": heads,
            "frames": frames,
            "row_bytes": width * joint.itemsize,
            "head_bytes": head_dim * joint.itemsize,
            "result_row_bytes": all_heads_bytes,
            "steps": steps,
            "blocks": blocks,
            "room_bytes": room_bytes,
            "room": room.data_ptr(),
        }
        for row, attended in zip(joint, result, strict=True):
            start = row.data_ptr()
            values.update(queries=start, keys=start + all_heads_bytes, values=start + 2 * all_heads_bytes)
            values["result"] = attended.data_ptr()
            self._code.run("attention", values, threads)
        return result


@cache
def matrix_units(dtype: torch.dtype) -> MatrixUnits | None:
    """Return the units of this CPU for `dtype`, or None where it has none that can be used.

    It takes AMX and leave of the kernel to use it, which torch asks for, and an OpenMP under torch that has GNU's entry
    points.
    """
    try:
        features = cpu_features()
        has_all = dtype in _PARTS and all(features.get(name) for name in _FEATURES) and has_amx(features)
        return MatrixUnits(dtype, features) if has_all else None
    except (RuntimeError, OSError) as error:
        logger.info("no matrix units for %s on this machine: %s", dtype, error)
        return None


def _name(ending: Ending, normed: bool) -> str:
    return f"{'normed' if normed else 'dense'}_{ending}"


def _bits(value: float) -> int:
    """Return a float32 as a table holds it."""
    return int.from_bytes(struct.pack("<f", value), "little")


def _check(name: str, tensor: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    if tensor.dtype is dtype and tensor.shape == shape and tensor.is_contiguous() and tensor.device.type == "cpu":
        return
    found = f"{tensor.dtype} and {tuple(tensor.shape)} on {tensor.device}"
    raise ValueError(f"{name} of {found}: expected {dtype} and {shape} on the CPU, contiguous")
