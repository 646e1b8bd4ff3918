"""The one small interface between the harness and whatever it asks questions of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

LONGEST_NAME = 80


@dataclass(frozen=True)
class Subject:
    """Something that turns a request into a tensor, and is called from many threads at once.

    Attributes:
        name: what tables and charts call it: one line of at most 80 printable characters.
        call: takes one request, leaves it as it is, and returns one tensor. Runs in many threads at the same time.
        shared: the objects that all calls share, as a tuple (a list becomes one): the model and whatever wraps it.
            The harness looks here for the modules whose outputs it records.
        requests: the subject's own requests, as a tuple (a list becomes one); `None` means that it takes the
            harness's speech workload.

    Raises:
        SubjectError: a field is not what it has to be.
    """

    name: str
    call: Callable[[Any], torch.Tensor]
    shared: tuple[object, ...]
    requests: tuple[object, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip() or not self.name.isprintable():
            raise SubjectError(f"a subject's name is one line of printable characters, not {self.name!r}")
        if len(self.name) > LONGEST_NAME:
            raise SubjectError(f"a subject's name has at most {LONGEST_NAME} characters, not {len(self.name)}")
        if not callable(self.call):
            raise SubjectError(f"subject {self.name!r}: call must be callable, not {self.call!r}")
        for field in ("shared", "requests"):
            if isinstance(getattr(self, field), list):
                object.__setattr__(self, field, tuple(getattr(self, field)))
        if not isinstance(self.shared, tuple):
            kind = type(self.shared).__name__
            raise SubjectError(f"subject {self.name!r}: shared must be a tuple of objects, not {kind}")
        if self.requests is None:
            return
        if not isinstance(self.requests, tuple) or not self.requests:
            message = f"subject {self.name!r}: requests must be a tuple of at least one, not {self.requests!r}"
            raise SubjectError(message)
