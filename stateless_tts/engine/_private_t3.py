"""T3 as the engine reads it: upstream's modules, over the shared weights or over a private cast copy.

The model that is handed to the engine is never written to. What the engine wants otherwise, a dtype or a kernel, it
gets on copies of the modules; parameters that stay as they are stay shared.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from stateless_tts.private import with_private, with_replaced

from ._backbone import projections
from ._projections import COPYING, Kernel, with_kernel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatterbox.models.t3 import T3

    Shape = tuple[int, int]


@dataclass(frozen=True)
class PrivateT3:
    """What decoding reads with.

    Attributes:
        t3: the view; it reads prompts as well as steps.
        private_bytes: memory of weights that are not the model's own.
    """

    t3: T3
    private_bytes: int


def shape_of(linear: nn.Linear) -> Shape:
    """Return (in_features, out_features)."""
    return linear.in_features, linear.out_features


def cast_copy(t3: T3, dtype: torch.dtype) -> T3:
    """Return a copy of `t3` as ``t3.to(dtype)`` would leave it; `t3` itself if it is of that dtype already."""
    if t3.speech_head.weight.dtype is dtype:
        return t3
    scratch = with_private(t3, [])
    # What stock's `inference` leaves behind on the model; it is not needed and may hold hooks.
    scratch._modules.pop("patched_model", None)  # noqa: SLF001 - nn.Module keeps its children here
    cast: dict[int, object] = {
        id(parameter): nn.Parameter(_cast(parameter, dtype), requires_grad=False) for parameter in t3.parameters()
    }
    cast.update({id(buffer): _cast(buffer, dtype) for buffer in t3.buffers()})
    copied: T3 = copy.deepcopy(scratch, cast)
    return copied


def with_kernels(t3: T3, kernels: Mapping[Shape, Kernel]) -> T3:
    """Return a view of `t3` that multiplies by way of `kernels`, chosen by the shape of the layer."""
    changed = {
        path: with_kernel(linear, kernels[shape_of(linear)])
        for path, linear in projections(t3)
        if kernels[shape_of(linear)] is not Kernel.LINEAR
    }
    return with_replaced(t3, changed) if changed else t3


def build_private_t3(t3: T3, cast: T3, kernels: Mapping[Shape, Kernel]) -> PrivateT3:
    """Put together what decoding reads with.

    Args:
        t3: the model's own.
        cast: what `cast_copy` returned for it. If it is a copy, it is used up: where a weight in a kernel's own order
            takes the place of a cast one, the cast one is let go.
        kernels: for every shape among the projections.
    """
    if cast is t3:
        private = sum(linear.weight.nbytes for _, linear in projections(t3) if kernels[shape_of(linear)] in COPYING)
        return PrivateT3(with_kernels(t3, kernels), private)
    _multiply_by(kernels, cast)
    return PrivateT3(cast, sum(parameter.nbytes for parameter in cast.parameters()))


def _multiply_by(kernels: Mapping[Shape, Kernel], private: T3) -> None:
    """Put modules that multiply by way of `kernels` in the place of the projections of `private`."""
    for path, linear in list(projections(private)):
        if kernels[shape_of(linear)] is not Kernel.LINEAR:
            parent, _, name = path.rpartition(".")
            setattr(private.get_submodule(parent), name, with_kernel(linear, kernels[shape_of(linear)]))


def _cast(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    with torch.inference_mode(mode=False), torch.no_grad():
        detached = tensor.detach()
        return detached.to(dtype) if detached.is_floating_point() else detached
