"""Every random draw of a call comes from the call's own generators.

Stock ChatterBox draws from torch's process-wide generators, so a seed isolates nothing once two calls overlap.
A `CallRandomness` holds generators of its own, seeded as `torch.manual_seed` seeds the process-wide ones, and
`redirected_draws` hands them to upstream's code: it is a `TorchFunctionMode`, whose stack is per thread, so the
redirection is seen by no other call and nothing of torch or upstream is patched.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import torch
from torch.overrides import TorchFunctionMode

from .errors import UnisolatedDrawError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

_FACTORIES = frozenset({"rand", "randn", "randint", "randperm", "normal"})
_SAMPLERS = frozenset({"multinomial", "bernoulli", "poisson"})
_IN_PLACE = frozenset(
    {
        "bernoulli_",
        "cauchy_",
        "exponential_",
        "geometric_",
        "log_normal_",
        "normal_",
        "random_",
        "uniform_",
    }
)
_LIKE = {"rand_like": "uniform_", "randn_like": "normal_", "randint_like": "random_"}
_NEVER_ISOLATED = frozenset(
    {
        "dropout",
        "alpha_dropout",
        "feature_dropout",
        "feature_alpha_dropout",
        "dropout1d",
        "dropout2d",
        "dropout3d",
    }
)


class CallRandomness:
    """The generators of one call: one for every device, all seeded alike.

    A fresh `torch.Generator` seeded with `seed` yields the numbers that the process-wide generator yields after
    ``torch.manual_seed(seed)``; a call that draws in stock's order therefore draws stock's numbers.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._generators: dict[torch.device, torch.Generator] = {}

    def generator(self, device: torch.device | str) -> torch.Generator:
        """Return this call's generator for `device`."""
        device = torch.device(device)
        if device.type == "cuda" and device.index is None:
            device = torch.device("cuda", torch.cuda.current_device())
        if device not in self._generators:
            self._generators[device] = torch.Generator(device).manual_seed(self.seed)
        return self._generators[device]


class redirected_draws(TorchFunctionMode):  # noqa: N801 - a context manager, named as torch names its own
    """While active on this thread, draws that name no generator use the generators of `randomness`.

    A draw that cannot be redirected (dropout of a model left in training mode) raises `UnisolatedDrawError`.
    """

    def __init__(self, randomness: CallRandomness) -> None:
        super().__init__()
        self._randomness = randomness

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - a torch function returns anything
        options = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        if options.get("generator") is not None:
            return func(*args, **options)
        if name in _LIKE:
            return self._draw_like(_LIKE[name], args, options)
        if name in _FACTORIES:
            options["generator"] = self._randomness.generator(_factory_device(args, options))
        elif name in _SAMPLERS or name in _IN_PLACE:
            options["generator"] = self._randomness.generator(_first_tensor(args, options).device)
        elif name in _NEVER_ISOLATED and options.get("training", len(args) > 2 and args[2]):  # noqa: PLR2004
            raise UnisolatedDrawError(f"{name} draws from the process-wide generator; put the model in eval() mode")
        return func(*args, **options)

    def _draw_like(self, draw: str, args: tuple[Any, ...], options: dict[str, Any]) -> torch.Tensor:
        """Draw what `torch.rand*_like` draws; those take no generator, but fill memory in the same order."""
        template, *bounds = args
        options.pop("generator", None)
        if draw == "random_":
            low, high = options.pop("low", None), options.pop("high", None)
            bounds = [*bounds, *(bound for bound in (low, high) if bound is not None)]
            bounds = bounds if len(bounds) > 1 else [0, *bounds]
        empty = torch.empty_like(template, **options)
        filled: torch.Tensor = getattr(empty, draw)(*bounds, generator=self._randomness.generator(empty.device))
        return filled


def _factory_device(args: tuple[Any, ...], options: Mapping[str, Any]) -> torch.device:
    for value in args:  # torch.normal(mean, std) takes tensors
        if isinstance(value, torch.Tensor):
            return value.device
    return torch.device(options.get("device") or torch.get_default_device())


def _first_tensor(args: tuple[Any, ...], options: Mapping[str, Any]) -> torch.Tensor:
    tensor = args[0] if args else options["input"]
    assert isinstance(tensor, torch.Tensor)
    return tensor


def fresh_seed() -> int:
    """Return a seed from the operating system, touching no generator of torch, numpy or Python."""
    return secrets.randbits(63)
