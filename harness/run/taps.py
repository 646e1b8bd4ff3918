"""Taps on the stages that every ChatterBox call passes through, whoever makes the call.

They are forward hooks on upstream's modules, put on before the threads start and taken off afterwards.
What they see goes into a record that belongs to the calling thread. A subject without such modules (a toy
model) simply leaves no stage records.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from harness.run.digest import mark

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch.utils.hooks import RemovableHandle

    from harness.run.records import TensorMark


@dataclass(frozen=True)
class Stage:
    """A place to listen: the module at `path` of a shared object, its `output` or its first input."""

    name: str
    path: str
    output: bool


STAGES = (
    Stage("conditioning", "t3.cond_enc", output=True),
    Stage("speech_tokens", "s3gen.flow.input_embedding", output=False),
    Stage("mel", "s3gen.mel2wav.f0_predictor", output=False),
)


class StageTaps:
    """Records, per thread, what passes the stages of the shared objects.

    Stages are found on `shared`; the same module reached through two objects is tapped once.
    """

    def __init__(self, shared: Sequence[object]) -> None:
        self._current = threading.local()
        self._modules: dict[tuple[str, int], tuple[Stage, torch.nn.Module]] = {}
        for stage in STAGES:
            for thing in shared:
                module = _follow(thing, stage.path)
                if isinstance(module, torch.nn.Module):
                    self._modules[stage.name, id(module)] = (stage, module)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Keep the hooks on for the length of the block."""
        handles = [self._attach(stage, module) for stage, module in self._modules.values()]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def recording(self) -> Iterator[dict[str, list[TensorMark]]]:
        """Collect what this thread's calls pass through during the block."""
        record: dict[str, list[TensorMark]] = {}
        self._current.record = record
        try:
            yield record
        finally:
            self._current.record = None

    def _attach(self, stage: Stage, module: torch.nn.Module) -> RemovableHandle:
        if stage.output:
            return module.register_forward_hook(lambda _module, _inputs, result: self._note(stage, result))
        return module.register_forward_pre_hook(lambda _module, inputs: self._note(stage, inputs))

    def _note(self, stage: Stage, value: Any) -> None:  # noqa: ANN401 - modules return what they like
        record = getattr(self._current, "record", None)
        tensor = value[0] if isinstance(value, tuple) and value else value
        if record is not None and isinstance(tensor, torch.Tensor):
            record.setdefault(stage.name, []).append(mark(tensor))


def _follow(thing: object, path: str) -> object | None:
    for name in path.split("."):
        thing = getattr(thing, name, None)
        if thing is None:
            return None
    return thing
