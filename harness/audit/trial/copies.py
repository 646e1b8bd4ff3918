"""The same call over a deep copy of what calls share: how a copy, and an object per thread, are tried out."""

from __future__ import annotations

import copy
import functools
import threading
import types
from typing import TYPE_CHECKING, Any

import torch

from harness.audit.state.memory import memory_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from harness.audit.state.graph import Graph

LOCKS = {type(threading.Lock()): threading.Lock, type(threading.RLock()): threading.RLock}


class CannotCopyError(Exception):
    """The shared objects cannot be copied, or the call cannot be made to use the copy."""


class Rebinder:
    """Makes functions, methods and callables use the copies in `memo` instead of their originals."""

    def __init__(self, memo: dict[int, Any], originals: Mapping[int, object]) -> None:
        self._memo, self._originals = memo, originals
        self._namespaces: dict[int, dict[str, Any]] = {}
        self.replaced = 0

    def rebind(self, value: Any) -> Any:  # noqa: ANN401 - any object a call refers to
        if id(value) in self._originals:
            self.replaced += 1
            return self._memo.get(id(value), value)
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self.rebind(value.__self__))
        if isinstance(value, functools.partial):
            arguments = [self.rebind(argument) for argument in value.args]
            return functools.partial(
                self.rebind(value.func),
                *arguments,
                **{name: self.rebind(held) for name, held in value.keywords.items()},
            )
        if callable(value) and hasattr(value, "__dict__") and not isinstance(value, type | types.ModuleType):
            before = len(self._memo)
            copied = copy.deepcopy(value, self._memo)
            self.replaced += len(self._memo) > before
            return copied
        return value

    def _function(self, function: types.FunctionType) -> types.FunctionType:
        if id(function) in self._memo:
            return self._memo[id(function)]  # type: ignore[no-any-return] # what was put there below
        cells = tuple(self._cell(cell) for cell in function.__closure__ or ())
        namespace = self._globals(function)
        if namespace is function.__globals__ and cells == (function.__closure__ or ()):
            return function
        made = types.FunctionType(function.__code__, namespace, function.__name__, function.__defaults__, cells)
        made.__kwdefaults__ = function.__kwdefaults__
        self._memo[id(function)] = made
        return made

    def _cell(self, cell: types.CellType) -> types.CellType:
        try:
            held = cell.cell_contents
        except ValueError:
            return cell
        made = self.rebind(held)
        return cell if made is held else types.CellType(made)

    def _globals(self, function: types.FunctionType) -> dict[str, Any]:
        """The function's globals, with shared objects in them replaced; the very same dictionary if there are none."""
        space = function.__globals__
        if id(space) in self._namespaces:
            return self._namespaces[id(space)]
        shared = {name: self._memo[id(held)] for name, held in space.items() if id(held) in self._originals}
        if not shared:
            return space
        self.replaced += len(shared)
        made = self._namespaces[id(space)] = {**space, **shared}
        for name, held in space.items():
            if isinstance(held, types.FunctionType) and held.__globals__ is space:
                made[name] = self._function(held)
        return made


def call_over_copy(
    call: Callable[[Any], Any], roots: Iterable[object], graph: Graph, written: frozenset[int]
) -> Callable[[Any], Any]:
    """`call` over a deep copy of the shared objects; tensors that nobody writes stay shared.

    Args:
        call: the subject's call.
        roots: the shared objects.
        graph: to find the tensors and locks they reach.
        written: addresses of the memory that calls write.

    Raises:
        CannotCopyError: something shared cannot be copied, or the call does not visibly refer to it.
    """
    roots = tuple(roots)
    memo = _kept_apart(graph, written)
    try:
        copies = [copy.deepcopy(root, memo) for root in roots]
    except Exception as error:
        raise CannotCopyError(f"it cannot be copied: {type(error).__name__}: {error}") from error
    for root, made in zip(roots, copies, strict=True):
        memo[id(root)] = made
    rebinder = Rebinder(memo, {id(root): root for root in roots})
    try:
        made_call: Callable[[Any], Any] = rebinder.rebind(call)
    except Exception as error:
        raise CannotCopyError(f"the call cannot be copied: {type(error).__name__}: {error}") from error
    if not rebinder.replaced:
        raise CannotCopyError("the call does not visibly refer to what is shared, so it could not be given a copy")
    return made_call


def _kept_apart(graph: Graph, written: frozenset[int]) -> dict[int, Any]:
    """What a deep copy must not copy (tensors that nobody writes), or cannot (locks, and results of operations)."""
    memo: dict[int, Any] = {}
    for node in list(graph.nodes.values()):
        if node.role == "tensor" and not node.path.of_module:
            found = memory_of(node.value)
            if found is None or found[0] not in written:
                memo[id(node.value)] = node.value
            elif not node.value.is_leaf or isinstance(node.value, torch.nn.Parameter):
                memo[id(node.value)] = _copied(node.value)
        elif node.role == "namespace":
            for held in list(node.value.values()):
                if type(held) in LOCKS:
                    memo[id(held)] = LOCKS[type(held)]()
    return memo


def _copied(tensor: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode(mode=False):
        made = torch.empty_like(tensor.detach()).copy_(tensor.detach())
        if isinstance(tensor, torch.nn.Parameter):
            return torch.nn.Parameter(made, requires_grad=tensor.requires_grad)
        return made
