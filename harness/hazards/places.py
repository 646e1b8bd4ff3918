"""Places: points inside a call where a schedule can hold it, without a change to upstream's code.

A place is put on an object that the reproduction owns (a module of its own model, a tokenizer around upstream's), or
on the calling thread alone (a torch function). All are taken off again.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from torch.overrides import TorchFunctionMode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    import torch

    from harness.hazards.schedule import Schedule

# One and the same draw under two names: stock calls the first, a draw with a generator of its own the second.
_SAME_DRAW = {"normal_": "randn_like", "uniform_": "rand_like"}


@contextmanager
def before(module: torch.nn.Module, place: str, schedule: Schedule) -> Iterator[None]:
    """Put `place` in front of every call of `module`."""
    handle = module.register_forward_pre_hook(lambda _module, _inputs: schedule.at(place))
    try:
        yield
    finally:
        handle.remove()


class PlacedTokenizer:
    """A tokenizer around upstream's, with a place in front of it."""

    def __init__(self, tokenizer: Any, place: str, schedule: Schedule) -> None:  # noqa: ANN401 - upstream has no types
        self._tokenizer = tokenizer
        self._place = place
        self._schedule = schedule

    def text_to_tokens(self, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - passed through as it is
        """Stop at the place, then do what upstream's tokenizer does."""
        self._schedule.at(self._place)
        return self._tokenizer.text_to_tokens(*arguments, **options)


class torch_places(TorchFunctionMode):  # noqa: N801 - a context manager, named as torch names its own
    """While active on this thread, the n-th call of the torch function `name` is the place ``"<name> #<n>"``."""

    def __init__(self, schedule: Schedule, names: Iterable[str]) -> None:
        super().__init__()
        self._schedule = schedule
        self._counts = dict.fromkeys(names, 0)

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - a torch function returns anything
        name = getattr(func, "__name__", "")
        name = _SAME_DRAW.get(name, name)
        if name in self._counts:
            self._counts[name] += 1
            self._schedule.at(f"{name} #{self._counts[name]}")
        return func(*args, **(kwargs or {}))
