"""The graph of objects that calls share: who holds what, under which path, and which memory tensors own."""

from __future__ import annotations

import array
import bisect
import functools
import gc
import itertools
import os
import random
import sys
import threading
import types
import weakref
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from harness.audit import value_stack
from harness.audit.scope import PLAIN_VALUES, SYNCHRONISED, is_audited_package, is_own_module
from harness.audit.state.memory import Memory, memory_of, window_of
from harness.audit.state.paths import MODULE_DICTIONARIES, Path, Result, follow, is_simple, own_dictionary, wrapped_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Role = Literal[
    "object",
    "namespace",
    "container",
    "tensor",
    "array",
    "class",
    "module",
    "generator",
    "cache",
    "cell",
    "leaf",
    "iterator",
]
CONTAINERS = (dict, list, set, deque, bytearray, array.array)
# They move on when they are asked for the next value, and tell by `__reduce__` how far they are.
ITERATORS: tuple[type, ...] = (
    itertools.count, itertools.cycle, enumerate, type(iter(())), type(iter([])), type(iter({})), type(iter(range(0))),
)  # fmt: skip
WALKED = (*CONTAINERS, tuple, frozenset)
# These hold their items and nothing else, where a class made of one of them may also have attributes.
BARE = frozenset({dict, list, set, tuple, frozenset, deque})
GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
NODE_LIMIT = 600_000
ENVIRONMENT = "os.environ"
# What two calls can write if a cache hands it to both.
SHARED_RESULTS = (torch.Tensor, np.ndarray, torch.nn.Module, dict, list, set, deque, bytearray, tuple, frozenset)


@dataclass(frozen=True, slots=True)
class Node:
    """A shared object and the shortest path to it."""

    value: Any
    path: Path
    role: Role


def is_lru_cache(value: object) -> bool:
    return hasattr(type(value), "cache_info") and hasattr(value, "__wrapped__")


def _results(cache: object) -> list[Any]:
    """What an lru_cache keeps, as far as two calls could write it."""
    tables = [table for table in gc.get_referents(cache) if type(table) is dict and table is not vars(cache)]
    entries = [value_stack.cached_result(entry) for table in tables for entry in table.values()]
    return [
        entry
        for entry in entries
        if isinstance(entry, SHARED_RESULTS) or (is_audited_package(type(entry).__module__) and not _is_plain(entry))
    ]


def _is_plain(value: object) -> bool:
    """Whether calls may share `value` as it is. A thread of one's own class may be the model, too.

    What a weak proxy stands for, others hold; one whose object is gone answers no question but for its own type. Tuples
    of nothing but plain values are what dictionaries of languages are full of.
    """
    if type(value) in weakref.ProxyTypes or (type(value) is tuple and is_simple(value)):
        return True
    own_thread = isinstance(value, threading.Thread) and is_audited_package(type(value).__module__)
    return isinstance(value, (*PLAIN_VALUES, *SYNCHRONISED)) and not own_thread


def slots_of(value: object) -> Iterator[tuple[str, object]]:
    for cls in type(value).__mro__:
        names = cls.__dict__.get("__slots__", ())
        for name in (names,) if isinstance(names, str) else names:
            if name.startswith("__") and not name.endswith("__"):
                name = f"_{cls.__name__.lstrip('_')}{name}"  # noqa: PLW2901 - as the class keeps it
            descriptor = cls.__dict__.get(name)
            if isinstance(descriptor, types.MemberDescriptorType):
                try:
                    yield name, descriptor.__get__(value, cls)
                except AttributeError:
                    continue


def _is_pythons(name: str) -> bool:
    return name.startswith("__") and name.endswith("__")


def _is_being_imported(module: types.ModuleType) -> bool:
    return bool(getattr(vars(module).get("__spec__"), "_initializing", False))


def _is_own(value: object, module: types.ModuleType) -> bool:
    """Whether what a module's name stands for is looked at: all but the classes that it has from elsewhere."""
    return not isinstance(value, type) or value.__module__ == module.__name__


class Graph:
    """Every object reachable from the roots, found again by identity; it grows as calls publish new ones."""

    def __init__(self, roots: Mapping[str, object]) -> None:
        self.nodes: dict[int, Node] = {}
        self.generators: dict[int, Path] = {}
        self.caches: dict[types.CodeType, Path] = {}
        self.known_globals: set[int] = set()
        self.unseen: list[str] = []
        self.roots: dict[str, object] = dict(roots)
        self._named = frozenset(roots)
        self._starts: list[int] = []
        self._ranges: list[Memory] = []
        self._lock = threading.RLock()
        self.on_module: Callable[[list[Node]], None] | None = None
        for name, value in roots.items():
            self.extend(Path(name), value)
        self.roots[ENVIRONMENT] = os.environ
        self.extend(Path(ENVIRONMENT, of_module=True), os.environ)
        self.packages = {type(value).__module__.partition(".")[0] for value in roots.values()}
        for name, module in list(sys.modules.items()):
            if name.partition(".")[0] in self.packages and is_audited_package(name):
                self.add_module(module)

    def owner_of_memory(self, value: object) -> Path | None:
        """The path of the shared tensor or array whose memory `value` lies in, or None."""
        node = self.nodes.get(id(value))
        if node is not None and node.value is value:
            return node.path  # of a sparse tensor, too, which has no memory of its own
        found = memory_of(value)
        if found is None or not self._starts:
            return None
        start = value.data_ptr() if isinstance(value, torch.Tensor) else found[0]
        with self._lock:
            index = bisect.bisect_right(self._starts, start) - 1
            if index < 0:
                return None
            memory = self._ranges[index]
            return memory.path_at(start) if start < memory.high else None

    def add_globals(self, namespace: dict[str, Any]) -> None:
        """Take in the globals of a module whose code is about to run for the first time.

        One that is being imported is taken in when it is whole: what it has now is not what it is to be put back to.
        """
        name = namespace.get("__name__")
        module = sys.modules.get(name) if isinstance(name, str) else None
        if module is not None and _is_being_imported(module):
            return
        self.known_globals.add(id(namespace))
        if module is not None and vars(module) is namespace and is_audited_package(module.__name__):
            with self._lock:
                known = len(self.nodes)
                self.add_module(module)
                if self.on_module is not None:
                    self.on_module(list(self.nodes.values())[known:])

    def add_module(self, module: types.ModuleType) -> None:
        with self._lock:
            if _is_being_imported(module):
                return
            self.known_globals.add(id(vars(module)))
            if id(module) in self.nodes:
                return
            path = self._path_of_module(module.__name__)
            self.roots[path.root] = module
            self.nodes[id(module)] = Node(module, path, "module")
            self.nodes[id(vars(module))] = Node(vars(module), path, "namespace")
            for name, value in list(vars(module).items()):
                if isinstance(value, types.ModuleType) and is_own_module(value):
                    self.add_module(value)
                elif not _is_pythons(name) and not isinstance(value, types.ModuleType) and _is_own(value, module):
                    self.extend(path.attribute(name), value)

    def _path_of_module(self, name: str) -> Path:
        """The module's name; a module may be called as a shared object is."""
        taken = name in self._named
        return Path(f"{name} (module)" if taken else name, of_module=True)

    def add_class(self, cls: type) -> Node | None:
        """Take in a class that only its module's code refers to, right before something is stored on it.

        A class that a call has made for itself is not found under its name, and is not shared.
        """
        module = sys.modules.get(cls.__module__)
        path = self._path_of_module(cls.__module__)
        for name in cls.__qualname__.split("."):
            path = path.attribute(name)
        if not is_audited_package(cls.__module__) or follow(path, {path.root: module}) is not cls:
            return None
        self.roots.setdefault(path.root, module)
        with self._lock:
            known = len(self.nodes)
            self.extend(path, cls)
            if self.on_module is not None:
                self.on_module(list(self.nodes.values())[known:])
            return self.nodes.get(id(cls))

    def extend(self, path: Path, value: object) -> None:
        """Take in `value`, which is now held at `path`, and all it reaches."""
        with self._lock:
            pending = deque([(path, value)])
            while pending and len(self.nodes) < NODE_LIMIT:
                here, current = pending.popleft()
                if id(current) in self.nodes or _is_plain(current):
                    continue
                pending.extend(self._take(here, current))
            if pending and not self.unseen:
                self.unseen.append(f"more than {NODE_LIMIT} objects are shared, and the rest was not looked at")

    def _take(  # noqa: PLR0911 - one return for each sort of object
        self,
        path: Path,
        value: Any,  # noqa: ANN401 - any object at all
    ) -> Iterator[tuple[Path, object]]:
        if type(value) in BARE:  # dictionaries of languages hold hundreds of thousands
            self.nodes[id(value)] = Node(value, path, "container")
            yield from self._take_items(path, value)
            return
        if isinstance(value, torch.Tensor | np.ndarray):
            yield from self._take_memory(path, value)
            return
        if isinstance(value, type):
            yield from self._take_class(path, value)
            return
        if isinstance(value, types.ModuleType | types.BuiltinFunctionType):
            return
        if isinstance(value, GENERATORS) and not isinstance(value, random.SystemRandom):
            self.nodes[id(value)] = Node(value, path, "generator")
            self.generators[getattr(value, "_cdata", id(value))] = path
            return
        if is_lru_cache(value):
            yield from self._take_cache(path, value)
            return
        if isinstance(value, (*ITERATORS, types.GeneratorType)):
            self.nodes[id(value)] = Node(value, path, "iterator")
            return
        if isinstance(value, types.FunctionType):
            yield from self._take_function(path, value)
            return
        if isinstance(value, types.MethodType):
            yield path, value.__self__
            yield path, value.__func__
            return
        yield from self._take_object(path, value)

    def _take_cache(self, path: Path, value: Any) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - an lru_cache
        self.nodes[id(value)] = Node(value, path, "cache")
        code = getattr(value.__wrapped__, "__code__", None)
        if code is not None:
            self.caches.setdefault(code, path)
        for result in _results(value):
            yield path.step("result", Result(result)), result

    def _take_memory(self, path: Path, value: torch.Tensor | np.ndarray[Any, Any]) -> Iterator[tuple[Path, object]]:
        role: Role = "tensor" if isinstance(value, torch.Tensor) else "array"
        self.nodes[id(value)] = Node(value, path, role)
        namespace = own_dictionary(value)
        if namespace:
            yield from self._take_namespace(path, namespace)
        found = memory_of(value)
        if found is None:
            return
        index = bisect.bisect_left(self._starts, found[0])
        if index == len(self._starts) or self._starts[index] != found[0]:
            self._starts.insert(index, found[0])
            self._ranges.insert(index, Memory(found[1], []))
        memory = self._ranges[index]
        memory.high = max(memory.high, found[1])
        memory.windows.append((*window_of(value), path))
        if isinstance(value, torch.Tensor) and value.is_leaf and value.grad is not None:
            yield path.attribute("grad"), value.grad

    def _take_class(self, path: Path, value: type) -> Iterator[tuple[Path, object]]:
        if not is_audited_package(value.__module__):
            return
        self.nodes[id(value)] = Node(value, path, "class")
        for name, held in list(vars(value).items()):
            plain = not name.startswith("__") and not isinstance(held, type | types.GetSetDescriptorType)
            if plain and not isinstance(held, types.MemberDescriptorType):
                for inside in wrapped_in(held):
                    yield path.attribute(name), inside

    def _take_function(self, path: Path, value: types.FunctionType) -> Iterator[tuple[Path, object]]:
        self.nodes[id(value)] = Node(value, path, "leaf")
        if not is_audited_package(value.__module__ or ""):
            return
        for index, held in enumerate(value.__defaults__ or ()):
            yield path.step("default", index), held
        for name, held in (value.__kwdefaults__ or {}).items():
            yield path.step("default", name), held
        for name, cell in zip(value.__code__.co_freevars, value.__closure__ or (), strict=True):
            self.nodes[id(cell)] = Node(cell, path.step("cell", name), "cell")
            try:
                yield path.step("cell", name), cell.cell_contents
            except ValueError:
                continue  # an empty cell
        if vars(value):
            yield from self._take_namespace(path, vars(value))

    def _take_object(self, path: Path, value: Any) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - any object
        container = isinstance(value, WALKED)
        self.nodes[id(value)] = Node(value, path, "container" if container else "object")
        if container:
            yield from self._take_items(path, value)
        if isinstance(value, torch.jit.ScriptModule):
            yield from self._take_script(path, value)
        namespace = own_dictionary(value)
        if namespace is not None:
            yield from self._take_namespace(path, namespace)
        bound = ("func", "args", "keywords") if isinstance(value, functools.partial) else ()
        for name, held in (*slots_of(value), *((name, getattr(value, name)) for name in bound)):
            yield path.attribute(name), held
        if not container or namespace is not None:
            for cls in type(value).__mro__:
                yield path.step("class", cls), cls

    def _take_script(self, path: Path, value: torch.jit.ScriptModule) -> Iterator[tuple[Path, object]]:
        self.unseen.append(f"{path} is TorchScript, which keeps attributes where they cannot be seen")
        for name, tensor in (*value.named_parameters(), *value.named_buffers()):
            place = path
            for step in name.split("."):
                place = place.attribute(step)
            yield place, tensor

    def _take_namespace(self, path: Path, namespace: dict[str, Any]) -> Iterator[tuple[Path, object]]:
        self.nodes[id(namespace)] = Node(namespace, path, "namespace")
        for name, held in list(namespace.items()):
            if name in MODULE_DICTIONARIES and isinstance(held, dict):
                self.nodes[id(held)] = Node(held, path, "namespace")
                for inner, inside in list(held.items()):
                    yield path.attribute(inner), inside
            else:
                yield path.attribute(str(name)), held

    def _take_items(self, path: Path, value: Any) -> Iterator[tuple[Path, object]]:  # noqa: ANN401 - any container
        if isinstance(value, dict | list | tuple | deque):
            items = dict.items(value) if isinstance(value, dict) else enumerate(value)
            for key, held in list(items):
                if not _is_plain(held):
                    yield path.step("item", key), held
        if isinstance(value, dict | set | frozenset):
            for key in list(dict.keys(value) if isinstance(value, dict) else value):
                if not is_simple(key):
                    yield path.step("element", Result(key)), key
