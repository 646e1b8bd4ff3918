"""The one small interface between the harness and whatever it asks questions of."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import SubjectError

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

NAME_PATTERN = re.compile(r"[a-z0-9][a-z0-9_.-]*")


@dataclass(frozen=True)
class Subject:
    """Something that turns a request into a tensor, and is called from many threads at once.

    Attributes:
        name: what tables, files and charts call it: lower-case letters, digits, `-`, `_` and `.`.
        call: takes one request and returns one tensor. Runs in many threads at the same time.
        shared: the objects that all calls share: the model and whatever wraps it. The harness looks here
            for the modules whose outputs it records.
        requests: the subject's own requests; `None` means that it takes the harness's speech workload.

    Raises:
        SubjectError: a field is not what it has to be.
    """

    name: str
    call: Callable[[Any], torch.Tensor]
    shared: tuple[object, ...]
    requests: tuple[object, ...] | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not NAME_PATTERN.fullmatch(self.name):
            message = f"a subject's name is lower-case letters, digits, '-', '_' and '.', not {self.name!r}"
            raise SubjectError(message)
        if not callable(self.call):
            raise SubjectError(f"subject {self.name!r}: call must be callable, not {self.call!r}")
        if not isinstance(self.shared, tuple):
            kind = type(self.shared).__name__
            raise SubjectError(f"subject {self.name!r}: shared must be a tuple of objects, not {kind}")
        if self.requests is None:
            return
        if not isinstance(self.requests, tuple) or not self.requests:
            message = f"subject {self.name!r}: requests must be a tuple of at least one, not {self.requests!r}"
            raise SubjectError(message)
