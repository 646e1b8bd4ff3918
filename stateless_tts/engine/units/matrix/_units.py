"""Units of AMX."""

from __future__ import annotations

import logging
from functools import cache

import torch

from stateless_tts.engine.machine_code._amx import has_amx
from stateless_tts.engine.machine_code._chain import Told, prepare_chains
from stateless_tts.engine.machine_code._translation import cpu_features
from stateless_tts.engine.units._numbers import ENDINGS, SIDE, STEP
from stateless_tts.engine.units._units import Units, check, layer_name

from . import _attention, _dense, _panels

logger = logging.getLogger(__name__)

_PARTS = {torch.bfloat16: 1, torch.float32: 2}
_FEATURES = ("amx-tile", "avx512f", "avx512bw", "avx512vl", "avx512bf16")


class MatrixUnits(Units):
    """Units in AMX's registers. In float32, numbers are taken as the sum of two bfloat16 (`_panels`).

    Args:
        dtype: `torch.float32` or `torch.bfloat16`.
        features: of a CPU that has these registers, as LLVM names them.

    Raises:
        RuntimeError: torch's OpenMP has no `GOMP_parallel`, or LLVM cannot translate for this CPU.
        OSError: the system lets no process make machine code.
    """

    def __init__(self, dtype: torch.dtype, features: dict[str, bool]) -> None:
        self._parts = _PARTS[dtype]
        # With two parts float32 rows are what the layer's own are.
        incoming = [one for one in _dense.INCOMING if one != "float32" or self._parts == 1]
        layers = [(one, ending) for one in incoming for ending in ENDINGS]
        kernels = [
            _panels.source(self._parts),
            *(_dense.source(layer_name(*layer), *layer, self._parts) for layer in layers),
            _attention.source("attention", self._parts),
        ]
        tables = {layer_name(*layer): _dense.FIELDS for layer in layers}
        super().__init__(dtype, self._parts, kernels, {**tables, "attention": _attention.FIELDS}, features)

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

    def shape_of(self, packed: torch.Tensor) -> tuple[int, int]:
        panels, steps, *_ = *packed.shape, 0, 0
        check("packed", packed, torch.bfloat16, (panels, steps, 2, self._parts, SIDE // 2, SIDE // 2, 2))
        return panels * SIDE, steps * STEP

    def fields_of_layer(self, packed: torch.Tensor, taps: int, *, normed: bool) -> dict[str, int | Told]:  # noqa: ARG002
        steps = packed.size(1)
        return {"steps": steps, "room_bytes": Told("panels_of_share", steps * _panels.step_bytes(self._parts))}

    def fields_of_attention(self, head_dim: int) -> dict[str, int | Told]:
        steps = head_dim // STEP
        room = Told("panels", *_attention.room_bytes(steps, self._parts))
        head_bytes = head_dim * self.dtype.itemsize
        return {"head_bytes": head_bytes, "steps": steps, "blocks": Told("panels"), "room_bytes": room}


@cache
def matrix_units(dtype: torch.dtype) -> MatrixUnits | None:
    """Return the units of this CPU for `dtype`, or None where it has none that can be used.

    It takes AMX and leave of the kernel to use it, which torch asks for, and an OpenMP under torch that has GNU's entry
    points.
    """
    try:
        features = cpu_features()
        has_all = dtype in _PARTS and all(features.get(name) for name in _FEATURES) and has_amx(features)
        if not has_all:
            return None
        prepare_chains()
        return MatrixUnits(dtype, features)
    except (RuntimeError, OSError) as error:
        logger.info("no matrix units for %s on this machine: %s", dtype, error)
        return None
