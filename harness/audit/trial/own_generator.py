"""A generator of its own for every call, given to it from outside: the remedy against shared generators, to be tried.

Nothing of the subject is changed: around every draw of the thread, the state of the generator it names (or of the
process-wide one) is exchanged for the call's own, and put back. Nothing else can draw in between.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.audit.watch.dispatch import schema_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 20_240_607
CANNOT_REDIRECT = frozenset({"process-wide random", "process-wide numpy.random"})
_exchanging = threading.Lock()


class OwnGenerator(TorchDispatchMode):
    """While entered, the draws of this thread come from a generator that nothing else can reach."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch ships no types for it
        self._state = torch.Generator().manual_seed(SEED).get_state()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None  # noqa: ANN401 - torch's signature
    ) -> object:  # fmt: skip
        keywords = kwargs or {}
        schema = schema_of(func)
        if not schema.draws:
            return func(*args, **keywords)
        generator = schema.given_generator(args, keywords) or torch.default_generator
        if generator.device.type != "cpu":
            return func(*args, **keywords)
        with _exchanging:
            found = generator.get_state()
            generator.set_state(self._state)
            try:
                return func(*args, **keywords)
            finally:
                self._state = generator.get_state()
                generator.set_state(found)
