"""What kernels for S3Gen's layers are called by: tensors are checked, and given room."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch

from stateless_tts.engine.machine_code import _vectors
from stateless_tts.engine.machine_code._chain import Call, Chain, Told, float_bits
from stateless_tts.engine.machine_code._translation import MachineCode

from . import _norm_mish, _snake
from ._numbers import SIDE, STEP

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._numbers import Ending, Incoming

# So many times 32 rows fit a core's second cache with a strip of weights, at the depths that S3Gen has.
_PANELS_OF_A_SHARE = 16


class Units(ABC):
    """Dense layers, attention and activations of one dtype on the CPU, by as many threads as torch's operations have.

    In bfloat16 sums are float32. A row's bits are its own, whatever rows there are beside it and however many threads
    there are.

    Args:
        dtype: `torch.float32` or `torch.bfloat16`.
        parts: of its numbers (`_numbers`).
        kernels: assembly of the layers and attention.
        tables: what each of their functions is told, by name.
        features: of the CPU, as LLVM names them.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(
        self,
        dtype: torch.dtype,
        parts: int,
        kernels: Sequence[str],
        tables: Mapping[str, Mapping[str, str]],
        features: dict[str, bool],
    ) -> None:
        self.dtype = dtype
        source = [_vectors.DECLARATIONS, *kernels, _norm_mish.source("norm_mish", parts), _snake.source("snake")]
        every = {**tables, "norm_mish": _norm_mish.FIELDS, "snake": _snake.FIELDS}
        self._code = MachineCode("\n".join(source), every, features)

    def takes(self, outputs: int, depth: int) -> bool:
        """Whether a weight of shape (outputs, depth) can be multiplied."""
        return outputs % SIDE == 0 and depth % STEP == 0 and outputs * depth > 0

    def takes_heads_of(self, head_dim: int) -> bool:
        """Whether heads of so many numbers can attend."""
        return self.takes(head_dim, head_dim)

    @abstractmethod
    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in the order in which a layer reads it.

        Args:
            weight: floating point of shape (outputs, depth), on the CPU; one that this `takes`.
        """

    @abstractmethod
    def shape_of(self, packed: torch.Tensor) -> tuple[int, int]:
        """Return the outputs and the depth of what `pack` returned.

        Raises:
            ValueError: it is something else.
        """

    @abstractmethod
    def fields_of_layer(self, packed: torch.Tensor, taps: int, *, normed: bool) -> dict[str, int | Told]:
        """Return what a layer of these units is told of its depth, and of the room of each thread.

        Args:
            packed: what `pack` returned for the weight.
            taps: as `dense_call` takes them.
            normed: whether rows are normed first.
        """

    @abstractmethod
    def fields_of_attention(self, head_dim: int) -> dict[str, int | Told]:
        """Return what attention of these units is told of heads of so many numbers, and of the room of each thread."""

    def dense_call(
        self,
        packed: torch.Tensor,
        bias: torch.Tensor,
        numbers: Told,
        result: Told,
        *,
        row_bytes: int,
        incoming: Incoming = "own",
        ending: Ending = "none",
        residual: Told | None = None,
        epsilon: float | None = None,
        taps: int = 1,
        tap_bytes: int = 0,
    ) -> Call:
        """Return a layer as a call for `run`; nothing is checked, and `packed` and `bias` have to be kept.

        Args:
            packed: what `pack` returned for the weight.
            bias: float32 of shape (outputs,).
            numbers: where the rows lie.
            result: where the result is to lie, its numbers side by side. It may lie where the residual does, but not
                where rows do, which may be read again for other outputs.
            row_bytes: from one row to the next.
            incoming: what the rows are; not asked for with `epsilon`.
            ending: ``"gelu"``, ``"add"`` to add `residual`, ``"float32"`` for a result in that; ``"none"`` leaves it.
                With ``"add"`` and ``"float32"`` the result is float32, else of this dtype.
            residual: where it lies, with ``"add"``: float32 of shape (rows, outputs).
            epsilon: if given, rows are float32 of a single tap, and each is taken less its mean and over the square
                root of its variance plus this, before it is multiplied.
            taps: in how many parts a row lies, each of as many whole steps.
            tap_bytes: from one part to the next.
        """
        normed = epsilon is not None
        values: dict[str, int | Told] = {
            "next_share": 0,
            "next_room": 0,
            "shares": Told("shares"),
            "rows": Told("rows"),
            "row_bytes": row_bytes,
            "taps": taps,
            "tap_bytes": tap_bytes,
            "strips": packed.size(0),
            "numbers": numbers,
            "weights": packed.data_ptr(),
            "bias": bias.data_ptr(),
            "residual": 0 if residual is None else residual,
            "room": Told("room"),
            "result": result,
            "epsilon": float_bits(epsilon or 0.0),
        }
        values |= self.fields_of_layer(packed, taps, normed=normed)
        return Call(self._code, layer_name("normed" if normed else incoming, ending), values)

    def attention_call(self, heads: int, head_dim: int, joint: Told, result: Told) -> Call:
        """Return the attention of one row as a call for `run`, every frame seeing every other; nothing is checked.

        Args:
            heads: how many.
            head_dim: numbers of a head, so many that `takes_heads_of` them.
            joint: where queries, scaled already, keys and values lie: of shape (frames, 3 * heads * head_dim) and this
                dtype, queries of all heads, keys of all heads, values of all heads.
            result: where the result is to lie, and none of these does.
        """
        row_bytes = heads * head_dim * self.dtype.itemsize
        queries, keys, values_ = (Told(joint.name, joint.times, joint.plus + part * row_bytes) for part in range(3))
        values: dict[str, int | Told] = {
            "next_head": 0,
            "next_room": 0,
            "heads": heads,
            "frames": Told("rows"),
            "row_bytes": 3 * row_bytes,
            "result_row_bytes": row_bytes,
            "queries": queries,
            "keys": keys,
            "values": values_,
            "room": Told("room"),
            "result": result,
        }
        return Call(self._code, "attention", {**values, **self.fields_of_attention(head_dim)})

    def dense(self, rows: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """Return ``rows @ weight.T + bias``, of shape (rows, outputs) and this dtype.

        Args:
            rows: of shape (rows, depth) and this dtype or float32, on the CPU, numbers of a row side by side; rows may
                overlap.
            packed: what `pack` returned for the weight.
            bias: float32 of shape (outputs,).

        Raises:
            ValueError: an argument is not that.
        """
        outputs, depth = self.shape_of(packed)
        check("bias", bias, torch.float32, (outputs,))
        beside = rows.stride(1) == 1 and rows.device.type == "cpu"
        if rows.dtype not in (self.dtype, torch.float32) or rows.shape != (len(rows), depth) or not beside:
            found = f"{rows.dtype} and {tuple(rows.shape)} on {rows.device}, {rows.stride(1)} apart"
            raise ValueError(f"rows of {found}: expected {self.dtype} and (rows, {depth}) on the CPU, side by side")
        result = rows.new_empty((len(rows), outputs), dtype=self.dtype)
        if len(rows):
            incoming: Incoming = "own" if rows.dtype is self.dtype else "float32"
            row_bytes = rows.stride(0) * rows.itemsize
            call = self.dense_call(
                packed, bias, Told("numbers"), Told("result"), row_bytes=row_bytes, incoming=incoming
            )
            run(Chain([call]), len(rows), numbers=rows.data_ptr(), result=result.data_ptr())
        return result

    def norm_mish_call(
        self, weight: torch.Tensor, bias: torch.Tensor, epsilon: float, numbers: Told, added: Told | int, result: Told
    ) -> Call:
        """Return the layer norm of each row, then its mish, then its sum with what is added, as a call for `run`.

        Nothing is checked, and weight and bias have to be kept.

        Args:
            weight: float32 of shape (channels,), of channels that are whole vectors.
            bias: the same.
            epsilon: as `torch.nn.LayerNorm` has it.
            numbers: where the rows lie, float32 of shape (rows, channels).
            added: where what is added to each row lies, float32 of shape (channels,).
            result: where the result is to lie, of this dtype; that of float32 may lie where the rows do.
        """
        values: dict[str, int | Told] = {
            "next_share": 0,
            "shares": Told("threads"),
            "rows": Told("rows"),
            "vectors": len(weight) // _vectors.LANES,
            "numbers": numbers,
            "scale": weight.data_ptr(),
            "shift": bias.data_ptr(),
            "added": added,
            "result": result,
            "epsilon": float_bits(epsilon),
        }
        return Call(self._code, "norm_mish", values)

    def snake_call(self, frequencies: torch.Tensor, heights: torch.Tensor, numbers: Told, result: Told) -> Call:
        """Return upstream's `Snake` of float32 rows as a call for `run`; nothing is checked.

        Args:
            frequencies: float32 of shape (channels,), of channels that are whole vectors; they have to be kept.
            heights: the same.
            numbers: where the rows lie.
            result: where the result is to lie.
        """
        values: dict[str, int | Told] = {
            "next_share": 0,
            "shares": Told("threads"),
            "rows": Told("rows"),
            "vectors": len(frequencies) // _vectors.LANES,
            "numbers": numbers,
            "frequencies": frequencies.data_ptr(),
            "heights": heights.data_ptr(),
            "result": result,
        }
        return Call(self._code, "snake", values)


def run(chain: Chain, rows: int, *, panels_of_share: int = _PANELS_OF_A_SHARE, **told: int) -> None:
    """Run calls by as many threads as torch's operations have here.

    Args:
        chain: of calls over so many rows, or frames.
        rows: at least one.
        panels_of_share: so many times 32 rows are multiplied with one strip of weights before the next one is.
        told: where lies what the calls name.
    """
    panels, threads = -(-rows // SIDE), torch.get_num_threads()
    shares = min(panels, max(threads, -(-panels // panels_of_share)))
    told |= {
        "rows": rows,
        "panels": panels,
        "shares": shares,
        "panels_of_share": -(-panels // shares),
        "threads": min(threads, rows),
    }
    room = torch.empty(threads * chain.most("room_bytes", **told), dtype=torch.uint8, device="cpu")
    chain.run(threads, room=room.data_ptr(), **told)


def layer_name(rows: Incoming, ending: Ending) -> str:
    """Return the name of the function for a layer of such rows with such an ending."""
    return f"{rows}_{ending}"


def check(name: str, tensor: torch.Tensor, dtype: torch.dtype, shape: tuple[int, ...]) -> None:
    """Refuse what is not that.

    Raises:
        ValueError: `tensor` is of another dtype or shape, not on the CPU, or not contiguous.
    """
    if tensor.dtype is dtype and tensor.shape == shape and tensor.is_contiguous() and tensor.device.type == "cpu":
        return
    found = f"{tensor.dtype} and {tuple(tensor.shape)} on {tensor.device}"
    raise ValueError(f"{name} of {found}: expected {dtype} and {shape} on the CPU, contiguous")
