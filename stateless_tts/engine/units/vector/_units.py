"""Units of vector registers, for float32 on CPUs with AVX2 or AVX-512."""

from __future__ import annotations

import logging
from functools import cache

import torch

from stateless_tts.engine.machine_code._chain import Call, Told, float_bits, prepare_chains
from stateless_tts.engine.machine_code._translation import cpu_features
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from stateless_tts.engine.units._numbers import ENDINGS, IN_FLOAT32, SIDE, Ending, Incoming
from stateless_tts.engine.units._units import Units, check

from . import _attention, _dense
from ._tiles import NUMBER_BYTES, Tiles

logger = logging.getLogger(__name__)


class VectorUnits(Units):
    """Units in vector registers, for float32, all of whose bits count.

    Args:
        tiles: in which sums are made; every CPU with AVX2 can, but one way is fastest.
        features: of the CPU, as LLVM names them.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, tiles: Tiles, features: dict[str, bool]) -> None:
        self._tiles = tiles
        layers = [(rows, ending) for rows in _dense.ROWS for ending in ENDINGS]
        kernels = [
            tiles.source(),
            *(_dense.source(f"{rows}_{ending}", rows, ending, tiles) for rows, ending in layers),
            _attention.source("attention", tiles),
        ]
        tables = {f"{rows}_{ending}": _dense.FIELDS for rows, ending in layers}
        super().__init__(torch.float32, IN_FLOAT32, kernels, {**tables, "attention": _attention.FIELDS}, features)

    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in strips, as float32 of shape (strips, depth, columns), contiguous."""
        strips = weight.detach().float().reshape(-1, self._tiles.columns, weight.size(1))
        return strips.transpose(1, 2).contiguous()

    def shape_of(self, packed: torch.Tensor) -> tuple[int, int]:
        strips, depth, *_ = *packed.shape, 0, 0
        check("packed", packed, torch.float32, (strips, depth, self._tiles.columns))
        return strips * self._tiles.columns, depth

    def dense_call(
        self,
        packed: torch.Tensor,
        bias: torch.Tensor,
        numbers: Told,
        result: Told,
        *,
        row_bytes: int,
        incoming: Incoming = "own",  # noqa: ARG002 - float32 in any case
        ending: Ending = "none",
        residual: Told | None = None,
        epsilon: float | None = None,
        taps: int = 1,
        tap_bytes: int = 0,
    ) -> Call:
        strips, depth, _ = packed.shape
        # A share is of whole tiles, and so of up to a tile more rows than there would be otherwise.
        room = Told("panels_of_share", _dense.room_bytes(SIDE, depth), _dense.room_bytes(self._tiles.rows, depth))
        values: dict[str, int | Told] = {
            "next_share": 0,
            "next_room": 0,
            "shares": Told("shares"),
            "rows": Told("rows"),
            "row_bytes": row_bytes,
            "depth": depth // taps,
            "taps": taps,
            "tap_bytes": tap_bytes,
            "strips": strips,
            "room_bytes": 0 if epsilon is None else room,
            "numbers": numbers,
            "weights": packed.data_ptr(),
            "bias": bias.data_ptr(),
            "residual": 0 if residual is None else residual,
            "room": Told("room"),
            "result": result,
            "epsilon": float_bits(epsilon or 0.0),
        }
        return Call(self._code, f"{'own' if epsilon is None else 'normed'}_{ending}", values)

    def attention_call(self, heads: int, head_dim: int, joint: Told, result: Told) -> Call:
        row_bytes = heads * head_dim * NUMBER_BYTES
        queries, keys, values_ = (Told(joint.name, joint.times, joint.plus + part * row_bytes) for part in range(3))
        values: dict[str, int | Told] = {
            "next_head": 0,
            "next_room": 0,
            "heads": heads,
            "frames": Told("rows"),
            "row_bytes": 3 * row_bytes,
            "head_dim": head_dim,
            "result_row_bytes": row_bytes,
            "room_bytes": Told("panels", *_attention.room_bytes(SIDE, head_dim, self._tiles)),
            "queries": queries,
            "keys": keys,
            "values": values_,
            "room": Told("room"),
            "result": result,
        }
        return Call(self._code, "attention", values)


@cache
def vector_units() -> VectorUnits | None:
    """Return the units of this CPU for float32, or None where it has none that can be used.

    It takes AVX2, and an OpenMP under torch that has GNU's entry points.
    """
    try:
        features = cpu_features()
        if not has_wide_vectors(features):
            return None
        prepare_chains()
        return VectorUnits(Tiles.of(features), features)
    except (RuntimeError, OSError) as error:
        logger.info("no vector units on this machine: %s", error)
        return None
