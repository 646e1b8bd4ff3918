"""Units of vector registers, for float32 on CPUs with AVX2 or AVX-512."""

from __future__ import annotations

import logging
from functools import cache

import torch

from stateless_tts.engine.machine_code._chain import Told, prepare_chains
from stateless_tts.engine.machine_code._translation import cpu_features
from stateless_tts.engine.machine_code._vectors import has_wide_vectors
from stateless_tts.engine.units._numbers import ENDINGS, IN_FLOAT32, SIDE
from stateless_tts.engine.units._units import Units, check, layer_name

from . import _attention, _dense
from ._tiles import Tiles

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
            *(_dense.source(layer_name(rows, ending), rows, ending, tiles) for rows, ending in layers),
            _attention.source("attention", tiles),
        ]
        tables = {layer_name(rows, ending): _dense.FIELDS for rows, ending in layers}
        super().__init__(torch.float32, IN_FLOAT32, kernels, {**tables, "attention": _attention.FIELDS}, features)

    def pack(self, weight: torch.Tensor) -> torch.Tensor:
        """Return a copy of `weight` in strips, as float32 of shape (strips, depth, columns), contiguous."""
        strips = weight.detach().float().reshape(-1, self._tiles.columns, weight.size(1))
        return strips.transpose(1, 2).contiguous()

    def shape_of(self, packed: torch.Tensor) -> tuple[int, int]:
        strips, depth, *_ = *packed.shape, 0, 0
        check("packed", packed, torch.float32, (strips, depth, self._tiles.columns))
        return strips * self._tiles.columns, depth

    def fields_of_layer(self, packed: torch.Tensor, taps: int, *, normed: bool) -> dict[str, int | Told]:
        depth = packed.size(1)
        # A share is of whole tiles, and so of up to a tile more rows than there would be otherwise.
        room = Told("panels_of_share", _dense.room_bytes(SIDE, depth), _dense.room_bytes(self._tiles.rows, depth))
        return {"depth": depth // taps, "room_bytes": room if normed else 0}

    def fields_of_attention(self, head_dim: int) -> dict[str, int | Told]:
        room = Told("panels", *_attention.room_bytes(SIDE, head_dim, self._tiles))
        return {"head_dim": head_dim, "room_bytes": room}


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
