"""Count what a call asks of torch: operations, weights read and written, draws from process-wide generators."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SEEDED = torch.Tag.nondeterministic_seeded


class CallCounter(TorchDispatchMode):
    """Context manager that counts the operations of this thread's calls.

    Args:
        model: any object with torch modules as attributes; their parameters and buffers are the weights.

    Attributes:
        tensor_ops: operations.
        weight_bytes: bytes of weights given to operations, as often as they were given.
        weight_writes: operations that wrote to a weight.
        process_draws: draws that named no generator.
    """

    def __init__(self, model: object) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch ships no type for it
        self._storages = {tensor.untyped_storage().data_ptr() for tensor in weights_of(model)} - {0}
        self.tensor_ops = self.weight_bytes = self.weight_writes = self.process_draws = 0

    def __torch_dispatch__(
        self,
        func: Any,  # noqa: ANN401 - torch ships no type for an operator
        types: Any,  # noqa: ANN401 - the same for its tensors' classes
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - an operator returns anything
        named = kwargs or {}
        self.tensor_ops += 1
        # Views share their weight's storage: what counts is how much of it an operation was given.
        for tensor in _tensors((*args, *named.values())):
            if tensor.untyped_storage().data_ptr() in self._storages and not _is_view(func):
                self.weight_bytes += tensor.nbytes
        self.weight_writes += any(
            isinstance(value, torch.Tensor) and value.untyped_storage().data_ptr() in self._storages
            for value in _written(func, args, named)
        )
        if SEEDED in func.tags and not _names_generator(args, named) and _is_random(func, args, named):
            self.process_draws += 1
        return func(*args, **named)


def weights_of(model: object) -> Iterator[torch.Tensor]:
    """Parameters and buffers of every module that `model` holds as an attribute."""
    for value in vars(model).values():
        if isinstance(value, torch.nn.Module):
            yield from value.parameters()
            yield from value.buffers()


def generator_states() -> dict[str, bytes]:
    """Return the state of each process-wide generator, by name."""
    kind, keys, *rest = np.random.get_state()  # noqa: NPY002 - the legacy generator is the process-wide one
    return {
        "torch": torch.get_rng_state().numpy().tobytes(),
        "numpy": f"{kind}{rest}".encode() + np.asarray(keys).tobytes(),
        "random": repr(random.getstate()).encode(),
    }


def _tensors(values: Iterable[object]) -> Iterator[torch.Tensor]:
    for value in values:
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from _tensors(value)


def _is_view(func: Any) -> bool:  # noqa: ANN401 - as above
    return any(
        returned.alias_info is not None and not returned.alias_info.is_write
        for returned in func._schema.returns  # noqa: SLF001 - an operator keeps its schema there
    )


def _written(func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> Iterator[object]:  # noqa: ANN401 - as above
    for place, argument in enumerate(func._schema.arguments):  # noqa: SLF001 - as above
        if argument.alias_info is not None and argument.alias_info.is_write:
            yield args[place] if place < len(args) else named.get(argument.name)


def _names_generator(args: tuple[Any, ...], named: dict[str, Any]) -> bool:
    return any(isinstance(value, torch.Generator) for value in (*args, *named.values()))


def _is_random(func: Any, args: tuple[Any, ...], named: dict[str, Any]) -> bool:  # noqa: ANN401 - as above
    """Tell a draw from an operation that only could draw: dropout switched off, attention without any."""
    given: dict[str, Any] = {}
    for place, argument in enumerate(func._schema.arguments):  # noqa: SLF001 - as above
        given[argument.name] = args[place] if place < len(args) else named.get(argument.name, argument.default_value)
    if given.get("train") is False or given.get("training") is False:
        return False
    return not any(given.get(name) == 0 for name in ("p", "dropout_p"))
