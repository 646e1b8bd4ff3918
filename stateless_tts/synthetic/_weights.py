"""Seeded weights for upstream's modules, drawn from a generator of our own.

Upstream's constructors initialise their weights from torch's process-wide generator. `skip_random_init`
lets them allocate without drawing, and `fill` then gives every weight a value that depends on a seed alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_DRAWS_IN_PLACE = frozenset({"uniform_", "normal_", "kaiming_uniform_", "xavier_uniform_", "trunc_normal_", "erfinv_"})


class skip_random_init(TorchFunctionMode):  # noqa: N801 - a context manager, named as torch names its own
    """While active on this thread, in-place random initialisers leave their tensor as it is."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - a torch function returns anything
        kwargs = kwargs or {}
        if getattr(func, "__name__", "") in _DRAWS_IN_PLACE:
            return args[0] if args else kwargs["tensor"]
        return func(*args, **kwargs)


def fill(module: nn.Module, generator: torch.Generator, gain: float = 1.0) -> None:
    """Draw every weight matrix, kernel and embedding of `module`; zero the biases; leave norms at one.

    Args:
        module: upstream module built under `skip_random_init`, on the CPU.
        generator: CPU generator; the same generator state gives the same weights.
        gain: standard deviation of a unit's output for inputs of unit variance.
    """
    with torch.no_grad():
        for owner in module.modules():
            for name, parameter in owner.named_parameters(recurse=False):
                if parameter.ndim >= 2:  # noqa: PLR2004 - vectors are biases, scales and norms
                    _draw(owner, parameter, generator, gain)
                elif "bias" in name:
                    parameter.zero_()
        _settle_weight_norms(module)


def _draw(owner: nn.Module, parameter: nn.Parameter, generator: torch.Generator, gain: float) -> None:
    deviation = 0.2 if isinstance(owner, nn.Embedding) else gain / math.sqrt(parameter[0].numel())
    parameter.normal_(0.0, deviation, generator=generator)


def _settle_weight_norms(module: nn.Module) -> None:
    """A weight-normalised layer keeps a direction and a magnitude: let the magnitude be the direction's own."""
    for owner in module.modules():
        if isinstance(owner, nn.utils.parametrize.ParametrizationList) and hasattr(owner, "original1"):
            direction = owner.get_parameter("original1")
            kept = [axis for axis in range(direction.ndim) if axis != 0]
            owner.get_parameter("original0").copy_(direction.norm(dim=kept, keepdim=True))


def seeded_generator(seed: int) -> torch.Generator:
    """Return a CPU generator seeded with `seed`."""
    return torch.Generator().manual_seed(seed)
