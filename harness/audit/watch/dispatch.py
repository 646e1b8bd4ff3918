"""Sees every tensor operation of the thread it is entered in: in-place writes to shared memory, and draws."""

from __future__ import annotations

import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.audit.watch.events import OF_A_SPARSE_TENSOR, OWN, PROCESS_WIDE, Draw, Record, Write
from harness.audit.watch.guards import guard_of
from harness.audit.watch.locate import place_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from harness.audit.state.graph import Graph

# Their schemas do not say that they write the running statistics (positions 3 and 4) while training (position 5).
UNDECLARED = frozenset({
    "aten::batch_norm", "aten::native_batch_norm", "aten::cudnn_batch_norm", "aten::miopen_batch_norm",
    "aten::instance_norm", "aten::_batch_norm_impl_index",
})  # fmt: skip
# Writes that change no element.
HARMLESS = frozenset({"aten::detach_", "aten::requires_grad_"})
_drawing = threading.Lock()  # a draw and the look at the generator before and after it belong together


def is_process_wide(generator: torch.Generator) -> bool:
    """Whether this is the generator that draws on its device use where none is named."""
    wide = (torch.default_generator, *torch.cuda.default_generators)
    return any(generator._cdata == one._cdata for one in wide)  # type: ignore[attr-defined] # noqa: SLF001 - no public way to tell generators apart


def _tensors(value: object) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _tensors(part)


@cache
def schema_of(function: Any) -> Schema:  # noqa: ANN401 - torch.ops overloads have no public type
    """What `function`'s schema says; there are a few thousand operations."""
    return Schema(function)


class Schema:
    """What one operation's schema says about writing and drawing, worked out once."""

    def __init__(self, function: Any) -> None:  # noqa: ANN401 - torch.ops overloads have no public type
        schema = function._schema  # noqa: SLF001 - the only place torch keeps it
        self.name: str = schema.name
        self.writes: tuple[tuple[int, str], ...] = ()
        if self.name not in HARMLESS:
            self.writes = tuple(
                (index, argument.name)
                for index, argument in enumerate(schema.arguments)
                if argument.alias_info is not None and argument.alias_info.is_write
            )
        self.draws: bool = torch.Tag.nondeterministic_seeded in function.tags
        names = [argument.name for argument in schema.arguments]
        self.generator = names.index("generator") if "generator" in names else None

    def written(self, arguments: Sequence[Any], keywords: dict[str, Any]) -> Iterator[torch.Tensor]:
        for index, name in self.writes:
            yield from _tensors(arguments[index] if index < len(arguments) else keywords.get(name))
        if self.name in UNDECLARED and len(arguments) > 5 and arguments[5]:  # noqa: PLR2004 - see UNDECLARED
            yield from _tensors(list(arguments[3:5]))

    def given_generator(self, arguments: Sequence[Any], keywords: dict[str, Any]) -> torch.Generator | None:
        if self.generator is None:
            return None
        found = arguments[self.generator] if self.generator < len(arguments) else keywords.get("generator")
        return found if isinstance(found, torch.Generator) else None


class OperationWatch(TorchDispatchMode):
    """Records writes and draws of the thread that entered it; `before_write` may keep what will be lost."""

    def __init__(
        self, graph: Graph, record: Record, before_write: Callable[[torch.Tensor], None] | None = None
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # torch ships no types for it
        self._graph = graph
        self._record = record
        self._before_write = before_write

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None  # noqa: ANN401 - torch's signature
    ) -> object:  # fmt: skip
        keywords = kwargs or {}
        schema = schema_of(func)
        for tensor in schema.written(args, keywords):
            self._note_write(tensor, schema.name)
        if not schema.draws:
            return func(*args, **keywords)
        generator = schema.given_generator(args, keywords)
        with _drawing:
            before = torch.default_generator.get_state()
            result = func(*args, **keywords)
            drawn = not torch.equal(before, torch.default_generator.get_state())
        # Other devices' generators cannot be looked at here. What is on none has no values, and none are drawn for it.
        elsewhere = any(tensor.device.type not in {"cpu", "meta"} for tensor in _tensors([*args, result]))
        if generator is not None or drawn or elsewhere:
            self._record.add_draw(Draw(schema.name, self._whose(generator), place_of(sys._getframe(1))))  # noqa: SLF001
        return result

    def _whose(self, generator: torch.Generator | None) -> str:
        if generator is None or is_process_wide(generator):
            return f"{PROCESS_WIDE} torch.default_generator"
        path = self._graph.generators.get(generator._cdata)  # type: ignore[attr-defined] # noqa: SLF001 - as above
        return OWN if path is None else f"shared {path}"

    def _note_write(self, tensor: torch.Tensor, operation: str) -> None:
        path = self._graph.owner_of_memory(tensor)
        if path is None:
            return
        if self._before_write is not None:
            self._before_write(tensor)
        if tensor.layout is not torch.strided:
            operation += OF_A_SPARSE_TENSOR
        place = place_of(sys._getframe(2))  # noqa: SLF001 - the frame that ran the operation
        guard = guard_of(path, self._graph.roots)
        self._record.add_write(Write(path, "in-place tensor write", operation, place, path, "content", guard=guard))
